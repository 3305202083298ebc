"""How the text of a field becomes its value: polars expressions, one small reader per kind.

Identifiers and other texts are kept exactly as sent. Times, numbers, booleans and interaction
types are read without the white space around them. Null means the field has no value.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import polars as pl

from lakehouse.contracts.characters import INVISIBLE, NUL, NULL_WORDS
from lakehouse.contracts.field_text import Check, FieldText, ReadContext, Reading
from lakehouse.contracts.fields import FLAG_NAME, ContractField, FieldKind, ObjectValues
from lakehouse.contracts.number_texts import read_decimal, read_number
from lakehouse.contracts.reasons import ReasonCode, WarningCode
from lakehouse.contracts.timestamps import read_timestamp

_BOOLEANS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_SCIENTIFIC: Final = r"^[+-]?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2,3}$"
"""How spreadsheets show a number of more than 11 digits."""
_JSON_TEXT: Final = r'"(?:[^"\\]|\\.)*"'
_JSON_SCALAR: Final = rf"(?:{_JSON_TEXT}|[-+.0-9eE]+|true|false|null)"


def _object_of(name: str, value: str) -> str:
    member = rf"\s*{name}\s*:\s*{value}\s*"
    return rf"^\s*\{{(?:\s*|{member}(?:,{member})*)\}}\s*$"


_OBJECTS: Final = {
    ObjectValues.SCALARS: (
        _object_of(_JSON_TEXT, _JSON_SCALAR),
        "holds something else than texts, numbers, true, false and null",
    ),
    ObjectValues.FLAGS: (
        _object_of(f'"{FLAG_NAME}"', "(?:true|false)"),
        "is not true or false per purpose, each purpose once and in lower case",
    ),
}
"""Patterns of JSON objects that hold certain values, and what is said of others."""


def read_field(field: ContractField, text: FieldText, context: ReadContext) -> Reading:
    """Return how `text` is read as `field`.

    Every check but `missing_value` is false where the field is blank.
    """
    reading = _READERS[field.kind](field, text, context)
    if not field.required:
        return reading
    missing = Check(ReasonCode.MISSING_VALUE, text.blank, f"{field.name} is missing")
    return replace(reading, checks=(missing, *reading.checks))


def _text(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    value = text.text if field.required else pl.when(~text.blank).then(text.text)
    return Reading(value, _text_checks(field, text), warnings=_oddities(field, text))


def _label(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    value = pl.when(~text.blank).then(text.stripped.str.to_lowercase())
    return Reading(value, _text_checks(field, text), warnings=(_null_word(field, text),))


def _oddities(field: ContractField, text: FieldText) -> tuple[Check, ...]:
    solid = Check(
        WarningCode.SURROUNDING_WHITE_SPACE,
        ~text.blank & (text.text.str.len_bytes() != text.stripped.str.len_bytes()),
        f"{field.name} begins or ends with white space",
        found_in="not solid",
    )
    if not field.is_identifier:
        return (_null_word(field, text), *((solid,) if field.is_matched else ()))
    return (
        _null_word(field, text),
        Check(
            WarningCode.SCIENTIFIC_IDENTIFIER,
            text.stripped.str.contains(_SCIENTIFIC).fill_null(value=False),
            f"{field.name} is a number with an exponent, as spreadsheets write long ones",
        ),
        solid,
        Check(
            WarningCode.INVISIBLE_CHARACTER,
            ~text.blank & text.text.str.contains(INVISIBLE),
            f"{field.name} holds a character that nobody sees",
            found_in="untidy",
        ),
    )


def _null_word(field: ContractField, text: FieldText) -> Check:
    return Check(
        WarningCode.NULL_WORD,
        text.stripped.is_in(NULL_WORDS).fill_null(value=False),
        f"{field.name} is a word that programs write where there is no value",
    )


def _text_checks(field: ContractField, text: FieldText) -> tuple[Check, ...]:
    nul = Check(
        ReasonCode.NUL_BYTE,
        text.text.str.contains(NUL, literal=True).fill_null(value=False),
        f"{field.name} holds a NUL character",
        found_in="untidy",
    )
    return _too_long(field, text), nul


def _too_long(field: ContractField, text: FieldText) -> Check:
    return Check(
        ReasonCode.VALUE_TOO_LONG,
        (text.text.str.len_chars() > field.max_length).fill_null(value=False),
        f"{field.name} is longer than {field.max_length} characters",
    )


def _interaction_type(field: ContractField, text: FieldText, context: ReadContext) -> Reading:
    known = list(context.interaction_types)
    check = Check(
        ReasonCode.UNKNOWN_INTERACTION_TYPE,
        ~text.blank & ~text.stripped.is_in(known),
        f"{field.name} is none of {', '.join(known)}",
    )
    return Reading(text.stripped, (check,))


def _boolean(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    word = text.stripped.str.to_lowercase()
    value = word.replace_strict(_BOOLEANS, default=None, return_dtype=pl.Boolean)
    check = Check(
        ReasonCode.BAD_BOOLEAN,
        ~text.blank & value.is_null(),
        f"{field.name} is not true or false",
    )
    return Reading(value, (check,))


def _json_object(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    is_object = text.stripped.str.starts_with("{")
    is_json = text.text.str.json_path_match("$").is_not_null()
    check = Check(
        ReasonCode.BAD_JSON,
        ~text.blank & ~(is_object & is_json).fill_null(value=False),
        f"{field.name} is not a JSON object",
    )
    value = pl.when(~text.blank).then(text.text)
    checks = (check, _too_long(field, text))
    if field.values is ObjectValues.ANY:
        return Reading(value, checks)
    pattern, message = _OBJECTS[field.values]
    is_other = ~text.blank & is_object & is_json & ~text.text.str.contains(pattern)
    if field.values is ObjectValues.FLAGS:
        names = text.text.str.extract_all(f'"{FLAG_NAME}"')
        is_other |= ~text.blank & (names.list.n_unique() < names.list.len())
    wrong = Check(
        ReasonCode.WRONG_VALUES, is_other.fill_null(value=False), f"{field.name} {message}"
    )
    return Reading(value, (*checks, wrong))


_READERS: Final[dict[FieldKind, Callable[[ContractField, FieldText, ReadContext], Reading]]] = {
    FieldKind.TEXT: _text,
    FieldKind.LABEL: _label,
    FieldKind.INTERACTION_TYPE: _interaction_type,
    FieldKind.TIMESTAMP: read_timestamp,
    FieldKind.NUMBER: read_number,
    FieldKind.DECIMAL: read_decimal,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.JSON_OBJECT: _json_object,
}
