r"""What makes two events the same: a stable text of what an event says, and hashes over it.

The text is `tag=value` for every field that has a value, in the contract's order, joined by
U+001F; in values `\` is written `\\` and U+001F `\u`. So no two different events share a text,
an absent value differs from an empty one, and a field added to the contract later leaves the
identity of every older event as it was. Times are microseconds since 1970, prices ten-thousandths,
ratings the 64 bits of the double as a signed integer: no formatting that a library could change.

A catalogue row without `updated_at` says "this is the state now", so its identity includes the
time it became known and its place in the batch: the states A, B, A of one item are three events,
in three batches as in one file.

A row that did not send all of its fields says less than one that sent them empty, so the names of
the fields it sent are part of what it says; of a row that sent all of them nothing is added.
"""

from typing import Final

import polars as pl
import polars_hash as plh

from lakehouse.contracts.fields import SENT_FIELDS, ContractField, FieldKind
from lakehouse.contracts.tenant import DataType

SEPARATOR: Final = "\x1f"
EVENT_ID_DIGITS: Final = 32

_ESCAPED: Final = ["\\", SEPARATOR]

_SENT_TAG: Final = "s="
"""As a field's tag; no field of the catalogue has it."""

_PAYLOAD: Final = "_payload"
_IDENTITY: Final = "_identity"
_STATE: Final = "_state"
_PLACE: Final = "_place"


def payload_text(data_type: DataType, frame: pl.DataFrame, *, is_plain: bool = False) -> pl.Series:
    """Return what every row says, as one unambiguous text; `event_id` is no part of it.

    `frame` has contract columns, the context unnested; absent columns count as null. `is_plain`
    promises that no text of it needs an escape.
    """
    always: list[pl.Expr] = []
    sometimes: list[pl.Expr] = []
    for field in data_type.definition.fields:
        if not field.in_payload or field.column not in frame.columns:
            continue
        column = frame.get_column(field.column)
        if column.null_count() == len(column) and len(column):
            continue
        text = _value_text(field, column, is_plain=is_plain)
        if sometimes or column.null_count():
            sometimes.append(pl.lit(f"{field.tag}=") + text)
        else:
            # A field without nulls joins the one concatenation that needs no test per value.
            mark = SEPARATOR if always else ""
            always.extend((pl.lit(f"{mark}{field.tag}="), text))
    if SENT_FIELDS in frame.columns and frame[SENT_FIELDS].null_count() < frame.height:
        sometimes.append(pl.lit(_SENT_TAG) + pl.col(SENT_FIELDS).list.join(","))
    if always:
        sometimes.insert(0, pl.concat_str(always))
    if not sometimes:
        return pl.repeat("", frame.height, eager=True).alias(_PAYLOAD)
    joined = pl.concat_str(sometimes, separator=SEPARATOR, ignore_nulls=True)
    return frame.select(joined.alias(_PAYLOAD)).to_series()


def event_ids(payload: pl.Series, known_at_micros: int, is_state: pl.Series | None) -> pl.Series:
    """Return 128-bit ids in hex: the first half of SHA-256 over the payload text.

    `is_state` marks catalogue rows without `updated_at`, whose id includes `known_at`.
    """
    frame = payload.alias(_IDENTITY).to_frame()
    if is_state is not None:
        text = pl.col(_IDENTITY)
        stamped = text + pl.lit(f"{SEPARATOR}known={known_at_micros}")
        frame = frame.select(
            pl.when(pl.lit(is_state)).then(stamped).otherwise(text).alias(_IDENTITY)
        )
    digest = plh.col(_IDENTITY).chash.sha2_256().str.slice(0, EVENT_ID_DIGITS)
    return frame.select(digest.alias("event_id")).to_series()


def fingerprints(
    data_type: DataType, frame: pl.DataFrame, payload: pl.Series, is_state: pl.Series | None
) -> pl.DataFrame:
    """Return `key` (128 bits) and `payload` (64 bits) per row, for comparing within one process.

    Rows of one key are about the same event; rows of one payload say the same. The key of a
    catalogue row without `updated_at` is its item: a repeated state is a duplicate, a changed one
    is news. Catalogue rows have that key as `state_key` too, dated ones as well: what comes after
    a dated row is news.
    """
    key, extra = pl.col("event_id"), []
    if (state_of := data_type.definition.state_of) is not None:
        state_key = pl.lit(f"state{SEPARATOR}") + pl.col(state_of)
        extra = [state_key.alias(_STATE)]
        if is_state is not None:
            key = pl.when(pl.lit(is_state)).then(state_key).otherwise(key)
    texts = frame.select(key.alias(_IDENTITY), pl.lit(payload).alias(_PAYLOAD), *extra)
    return texts.select(
        plh.col(_IDENTITY).nchash.xxh3_128().alias("key"),
        plh.col(_PAYLOAD).nchash.xxh3_64().alias("payload"),
        *(plh.col(_STATE).nchash.xxh3_128().alias("state_key") for _ in extra),
    )


def placed_ids(event_ids: pl.Series, is_state: pl.Series, places: pl.Series) -> pl.Series:
    """Return the ids of catalogue rows, those of states made of their `source_ref` too.

    A state that comes again in one batch, after another one, is then an event of its own. The same
    row of the same batch has the same id however often the batch is tried.
    """
    frame = pl.DataFrame({_IDENTITY: event_ids, _PLACE: places.cast(pl.String), _STATE: is_state})
    placed = frame.with_columns(
        (pl.col(_IDENTITY) + pl.lit(f"{SEPARATOR}place=") + pl.col(_PLACE)).alias("_placed")
    )
    digest = plh.col("_placed").chash.sha2_256().str.slice(0, EVENT_ID_DIGITS)
    chosen = pl.when(_STATE).then(digest).otherwise(pl.col(_IDENTITY))
    return placed.select(chosen.alias("event_id")).to_series()


def repeated_ids(event_ids: pl.Series, numbers: pl.Series) -> pl.Series:
    """Return the ids of dated rows; the occurrence in their batch is part of all but the first's.

    `numbers` are 0 for a first occurrence, see `ingest_service/dedupe/occurrences.py`.
    """
    number = pl.col("_number")
    frame = pl.DataFrame({_IDENTITY: event_ids, "_number": numbers}).with_columns(
        _again=pl.col(_IDENTITY) + pl.lit(f"{SEPARATOR}again=") + number.cast(pl.String)
    )
    digest = plh.col("_again").chash.sha2_256().str.slice(0, EVENT_ID_DIGITS)
    chosen = pl.when(number > 0).then(digest).otherwise(pl.col(_IDENTITY))
    return frame.select(chosen.alias("event_id")).to_series()


def _value_text(field: ContractField, column: pl.Series, *, is_plain: bool) -> pl.Expr:
    value = pl.col(field.column)
    match field.kind:
        case FieldKind.TIMESTAMP | FieldKind.DECIMAL:
            return value.to_physical().cast(pl.String)
        case FieldKind.NUMBER:
            return value.reinterpret(dtype=pl.Int64).cast(pl.String)
        case FieldKind.BOOLEAN:
            return pl.when(value).then(pl.lit("true")).when(~value).then(pl.lit("false"))
        case FieldKind.INTERACTION_TYPE:
            return value
        case FieldKind.TEXT | FieldKind.LABEL | FieldKind.JSON_OBJECT:
            if is_plain or not column.str.contains_any(_ESCAPED).any():
                return value
            return _escaped(value)


def _escaped(value: pl.Expr) -> pl.Expr:
    doubled = value.str.replace_all("\\", "\\\\", literal=True)
    return doubled.str.replace_all(SEPARATOR, "\\u", literal=True)
