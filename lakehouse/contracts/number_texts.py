"""How the text of a price or a rating becomes a number, and what of it would get lost.

A price is stored to 4 decimal places. A rating is stored as a double, and the models read it as
`decimal(18, 6)`: one that does not fit in there would be null in them, so it is refused here.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Final

import polars as pl

from lakehouse.contracts.field_text import Check, FieldText, ReadContext, Reading
from lakehouse.contracts.fields import ContractField
from lakehouse.contracts.reasons import ReasonCode, WarningCode

PRICE_PLACES: Final = 4
PRICE_DTYPE: Final = pl.Decimal(18, PRICE_PLACES)
RATING_PLACES: Final = 6
RATING_BELOW: Final = 10.0**12
"""`decimal(18, 6)` has 12 digits before the point."""
DOUBLE_DIGITS: Final = 15
"""So many digits of any decimal number survive in a double."""

_LOOK_ALIKE: Final = {" ": " \u00a0\u2009\u202f", "'": "'\u2019"}
"""Characters of one mark of thousands: spaces that do not break, the curly apostrophe."""
_EXPONENT: Final = "[eE]"
_DECIMAL_COMMA: Final = r"^[+-]?[0-9]*,[0-9]+$"
_DECIMAL_POINT: Final = r"^[+-]?[0-9]*\.[0-9]+$"


def read_number(field: ContractField, text: FieldText, context: ReadContext) -> Reading:
    """Return how `text` is read as a rating."""
    number = _in_points(text, context)
    value = number.cast(pl.Float64, strict=False)
    # -0.0 becomes 0.0: equal numbers, one identity. (polars drops an addition of 0.0.)
    value = pl.when(value == 0).then(pl.lit(0.0)).otherwise(value)
    parsed = (value.alias(text.name_of("parsed")), number.alias(text.name_of("number")))
    is_finite = text.parsed.is_finite().fill_null(value=False)
    too_large = Check(
        ReasonCode.BAD_NUMBER,
        is_finite & (text.parsed.abs() >= RATING_BELOW).fill_null(value=False),
        f"{field.name} has more than 12 digits before the point",
    )
    checks = _unreadable(
        text, ~text.blank & ~is_finite, f"{field.name} is not a finite number", context
    )
    rounded = _rounded(text, RATING_PLACES, DOUBLE_DIGITS, f"{field.name} is kept to 6 places")
    return Reading(text.parsed, (*checks, too_large), parsed, (rounded,))


def read_decimal(field: ContractField, text: FieldText, context: ReadContext) -> Reading:
    """Return how `text` is read as a price."""
    number = _in_points(text, context)
    value = number.cast(PRICE_DTYPE, strict=False)
    parsed = (value.alias(text.name_of("parsed")), number.alias(text.name_of("number")))
    message = f"{field.name} is not a decimal number of at most 14 digits before the point"
    checks = _unreadable(text, ~text.blank & text.parsed.is_null(), message, context)
    rounded = _rounded(
        text, PRICE_PLACES, PRICE_DTYPE.precision, f"{field.name} was rounded to 4 decimal places"
    )
    return Reading(text.parsed, checks, parsed, (rounded,))


def _in_points(text: FieldText, context: ReadContext) -> pl.Expr:
    """Return the text with a point before its decimals; null where the mark is the other one."""
    number = text.stripped if context.thousands is None else _ungrouped(text.stripped, context)
    if context.decimal == ".":
        return number
    has_point = number.str.contains(".", literal=True)
    return pl.when(~has_point).then(number.str.replace(",", ".", literal=True))


def _ungrouped(number: pl.Expr, context: ReadContext) -> pl.Expr:
    """Return a number without the marks of its thousands; null where they stand anywhere else.

    Groups have three digits, or as in India (with commas) the last three and those before it two;
    the first does not begin with a zero, which is what decimals of one below 1 look like.
    """
    assert context.thousands is not None
    mark = f"[{_LOOK_ALIKE.get(context.thousands, re.escape(context.thousands))}]"
    decimals = f"(?:{re.escape(context.decimal)}[0-9]*)?"
    groups = f"[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+"
    if context.thousands == ",":
        groups += f"|[1-9][0-9]?(?:{mark}[0-9]{{2}})+{mark}[0-9]{{3}}"
    grouped = rf"^[+-]?(?:{groups}){decimals}$"
    has_mark = number.str.contains(mark)
    return (
        pl.when(~has_mark)
        .then(number)
        .when(number.str.contains(grouped))
        .then(number.str.replace_all(mark, ""))
    )


def _unreadable(
    text: FieldText, is_bad: pl.Expr, message: str, context: ReadContext
) -> tuple[Check, ...]:
    """Return the check of a number, which says so when only the decimal mark is another."""
    code = ReasonCode.BAD_NUMBER
    is_comma = context.decimal == ","
    other = _DECIMAL_POINT if is_comma else _DECIMAL_COMMA
    unread_text = pl.when(is_bad).then(text.stripped)
    is_other = unread_text.str.contains(other).fill_null(value=False)
    if context.thousands is not None:
        return (Check(code, is_bad, f"{message}, with thousands apart by {context.thousands!r}"),)
    hint = (
        "it has a decimal point, and the source mapping says `decimal: ','`"
        if is_comma
        else "if its comma is a decimal one, set `decimal: ','` in the source mapping"
    )
    return (
        Check(code, is_bad & ~is_other, message),
        Check(code, is_bad & is_other, f"{message}; {hint}"),
    )


def _rounded(text: FieldText, places: int, digits: int, message: str) -> Check:
    """Return the check whether a number has more decimal places, or digits, than are kept."""
    loses = text.column("number").map_batches(
        lambda column: _lose(column, places, digits), pl.Boolean
    )
    is_odd = text.parsed.is_not_null() & loses
    return Check(WarningCode.ROUNDED_NUMBER, is_odd.fill_null(value=False), message)


def _lose(numbers: pl.Series, places: int, digits: int) -> pl.Series:
    """Return which numbers have more decimal places or digits than are kept, exactly."""
    # sign, leading zeros and the point count as digits here, which only asks more closely
    needs_a_look = numbers.str.contains(_EXPONENT) | (numbers.str.len_bytes() > digits)
    loses = numbers.str.contains(rf"\.[0-9]{{{places}}}[0-9]*[1-9]")
    if not needs_a_look.any():
        return loses
    looked_at = [_loses(one, places, digits) for one in numbers.filter(needs_a_look)]
    return loses.scatter(needs_a_look.fill_null(value=False).arg_true(), looked_at)


def _loses(number: str, places: int, digits: int) -> bool:
    try:
        sent = Decimal(number)
    except InvalidOperation:  # an exponent of 19 digits: what was read for it is not it
        return True
    if not sent.is_finite() or not sent:
        return False
    _, sent_digits, exponent = sent.as_tuple()
    assert isinstance(exponent, int)
    zeros = len(sent_digits) - len("".join(map(str, sent_digits)).rstrip("0"))
    kept = sent_digits[: len(sent_digits) - zeros]
    return -(exponent + zeros) > places or len(kept) > digits
