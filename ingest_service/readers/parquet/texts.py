"""Columns of Arrow as texts, which is what the validator reads."""

import base64
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from ingest_service.readers.table.columns import LARGEST_EXACT
from ingest_service.readers.table.no_json import NoNumber, NoText, holds_no_json
from lakehouse.contracts.strict_json import Number, dumps
from lakehouse.contracts.times import typed_time, typed_times

Mask = npt.NDArray[np.bool_]
_WHOLE: Final = 2**63


def is_nested(kind: pa.DataType) -> bool:
    """Whether values of a type are records or lists."""
    return bool(pa.types.is_nested(kind))


def is_odd_identifier(kind: pa.DataType) -> bool:
    """Whether a type is one that identifiers are turned into by mistake."""
    test = pa.types
    return bool(
        test.is_floating(kind)
        or test.is_boolean(kind)
        or test.is_temporal(kind)
        or (test.is_decimal(kind) and kind.scale > 0)
    )


def plain(values: pa.Array) -> pa.Array:
    """Return values without an extension type around them (a UUID's is its bytes)."""
    while isinstance(values, pa.ExtensionArray):
        values = values.storage
    return values


def column_texts(values: pa.Array, *, is_utc: bool = False, with_comma: bool = False) -> pl.Series:
    """Return a column's values as texts, null where they are null or cannot be a text.

    `is_utc`: times without a zone are moments in UTC. `with_comma`: numbers have a decimal comma.
    Lists and records become JSON, null where they hold what JSON does not have.
    """
    kind = values.type
    if isinstance(kind, pa.UuidType):
        return pl.Series(json_values(values), dtype=pl.String)
    values = plain(values)
    kind = values.type
    test = pa.types
    if test.is_dictionary(kind):
        known = column_texts(values.dictionary, is_utc=is_utc, with_comma=with_comma)
        return known.gather(pl.Series(values.indices))
    if _is_bytes(kind) or (is_text(kind) and not _is_utf8(values)):
        return _of_bytes(values)
    if is_nested(kind):
        return pl.Series([_nested(one) for one in json_values(values)], dtype=pl.String)
    if test.is_timestamp(kind) or test.is_date(kind):
        return _times(values, is_utc=is_utc or getattr(kind, "tz", None) is not None)
    if test.is_decimal(kind) or test.is_time(kind) or test.is_duration(kind):
        texts = pl.Series(values.cast(pa.string()), dtype=pl.String)
    elif test.is_floating(kind):
        texts = _floats(pl.Series(values))
    else:
        texts = pl.Series(values).cast(pl.String)
    return texts.str.replace(".", ",", literal=True) if with_comma else texts


def not_utf8(values: pa.Array, texts: pl.Series) -> Mask | None:
    """Return which values of a column of texts are none, `texts` being what was made of them."""
    kind = values.type
    if not (is_text(kind) or _is_bytes(kind) or pa.types.is_dictionary(kind)):
        return None
    return _lost(values, texts)


def no_json(values: pa.Array, texts: pl.Series) -> Mask | None:
    """Return which lists and records of a column hold what JSON does not have; see `not_utf8`."""
    return _lost(values, texts) if is_nested(values.type) else None


def kept_texts(values: pa.Array, texts: pl.Series) -> list[str | None]:
    """Return the texts of a column, and in the place of bytes that are none these, in base64."""
    found = texts.to_list()
    lost = not_utf8(values, texts)
    if lost is None:
        return found
    data = plain(values)
    data = data.dictionary_decode() if pa.types.is_dictionary(data.type) else data
    whole = data.cast(pa.large_binary() if not _is_fixed(data.type) else pa.binary())
    for row in lost.nonzero()[0].tolist():
        found[row] = NoText(base64.b64encode(whole[row].as_py()).decode())
    return found


def _is_fixed(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_binary(kind))


def _lost(values: pa.Array, texts: pl.Series) -> Mask | None:
    wrong = texts.is_null().to_numpy() & pl.Series(values.is_valid()).to_numpy()
    return wrong if wrong.any() else None


def is_text(kind: pa.DataType) -> bool:
    """Whether values of a type are texts."""
    test = pa.types
    return bool(test.is_string(kind) or test.is_large_string(kind) or test.is_string_view(kind))


def lengths(values: pa.Array) -> npt.NDArray[np.int64] | None:
    """Return the bytes of each text of a column, None for a type without."""
    values = plain(values)
    if pa.types.is_dictionary(values.type):
        of_known = lengths(values.dictionary)
        if of_known is None or not len(of_known):
            return None
        return np.asarray(of_known[pl.Series(values.indices).fill_null(0).to_numpy()])
    if not (is_text(values.type) or _is_bytes(values.type)):
        return None
    # Through polars: pyarrow's own functions on constants import pandas.
    found = pl.Series(pc.binary_length(values)).fill_null(0)
    return np.asarray(found.to_numpy(), dtype=np.int64)


def beyond_exact(values: pa.Array) -> Mask | None:
    """Return which floating-point numbers are too large to hold every whole one."""
    if not pa.types.is_floating(values.type):
        return None
    limit = LARGEST_EXACT if pa.types.is_float64(values.type) else 2**24
    return np.asarray((pl.Series(values).abs() >= limit).fill_null(value=False).to_numpy())


def json_values(values: pa.Array) -> list[Any]:
    """Return values as JSON has them; `NoJson` stands for one that it does not have."""
    as_json = _json_of(values.type)
    return [as_json(one) for one in values.to_pylist(maps_as_pydicts="lossy")]


def _nested(value: Any) -> str | None:
    return None if value is None or holds_no_json(value) else dumps(value)


def _json_of(kind: pa.DataType) -> Callable[[Any], Any]:
    """Return what makes JSON of the values of a type."""
    test = pa.types
    if isinstance(kind, pa.BaseExtensionType) and is_nested(kind.storage_type):
        kind = kind.storage_type
    if test.is_struct(kind):
        fields = {field.name: _json_of(field.type) for field in kind}
        return lambda value: value and {name: fields[name](one) for name, one in value.items()}
    if test.is_map(kind):
        item = _json_of(kind.item_type)
        return lambda value: value and {str(name): item(one) for name, one in value.items()}
    if test.is_dictionary(kind) or is_nested(kind):
        item = _json_of(kind.value_type)
        if test.is_dictionary(kind):
            return item
        return lambda value: value and [item(one) for one in value]
    if test.is_floating(kind) and not test.is_float64(kind):
        return lambda value: value if value is None else _number(float(str(np.float32(value))))
    return _value


def _is_bytes(kind: pa.DataType) -> bool:
    test = pa.types
    return bool(
        test.is_binary(kind)
        or test.is_large_binary(kind)
        or test.is_binary_view(kind)
        or test.is_fixed_size_binary(kind)
    )


def _is_utf8(values: pa.Array) -> bool:
    """Whether texts are what they say: Arrow does not look, and other programs rely on it."""
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _of_bytes(values: pa.Array) -> pl.Series:
    """Return bytes as the UTF-8 that old writers meant by them, null where they are not."""
    if pa.types.is_fixed_size_binary(values.type):
        values = values.cast(pa.binary())
    data = pl.Series(values.cast(pa.large_binary()))
    try:
        return data.cast(pl.String)
    except pl.exceptions.PolarsError:
        return pl.Series([_decoded(one) for one in data], dtype=pl.String)


def _decoded(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None


def _times(values: pa.Array, *, is_utc: bool) -> pl.Series:
    """To the microsecond: what is finer is cut off."""
    times = pl.Series(values.cast(pa.timestamp("us"), safe=False))
    return typed_times(times, is_utc=is_utc)


def _floats(numbers: pl.Series) -> pl.Series:
    """Return numbers as people write them: whole ones without decimals."""
    wide = numbers.cast(pl.Float64)
    is_whole = (wide == wide.round()) & (wide.abs() < _WHOLE)
    whole = wide.cast(pl.Int64, strict=False).cast(pl.String)
    frame = pl.DataFrame({"is_whole": is_whole, "whole": whole, "text": numbers.cast(pl.String)})
    return frame.select(pl.when("is_whole").then("whole").otherwise("text")).to_series()


def _value(value: Any) -> Any:
    """Return one value of Python as JSON has it; times are texts that say so."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | Decimal):
        return Number(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, bytes):
        text = _decoded(value)
        return NoText(base64.b64encode(value).decode()) if text is None else text
    if isinstance(value, datetime):
        return typed_time(value)
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00.000000"
    return str(value)


def _number(value: float) -> Number:
    if not isfinite(value):
        return NoNumber.of(value)
    is_whole = value.is_integer() and abs(value) < _WHOLE
    return Number(int(value) if is_whole else repr(value))
