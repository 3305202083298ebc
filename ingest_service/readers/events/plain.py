"""Plain events, read into columns for many requests at once: what lets a busy service keep up.

A request is only looked at when it comes: is it JSON, how many events are in it, how large are
they. Arrow reads the bodies of a whole group then, without Python's lock. It is strict about what
`quick_texts` and the strict decoder are strict about (kinds of values, unknown and repeated names);
whenever a group holds anything that it refuses, each body is read by those instead.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate
from typing import Final, overload

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.json as pj
from msgspec import Raw

from ingest_service.readers.events.parsing import EventLimits, parse_events
from ingest_service.readers.events.quick import quick_texts
from ingest_service.readers.json.rows import JsonChunk, JsonColumns, RowTexts, texts_of
from lakehouse.contracts.characters import Traits
from lakehouse.contracts.fields import CONTEXT_FIELDS, FieldKind
from lakehouse.contracts.json_rows import CONTEXT
from lakehouse.contracts.tenant import DataType, SourceMapping
from lakehouse.contracts.validator import REASON_SCHEMA, UNKNOWN

_KINDS: Final = {
    FieldKind.TEXT: pa.string(),
    FieldKind.LABEL: pa.string(),
    FieldKind.INTERACTION_TYPE: pa.string(),
    FieldKind.TIMESTAMP: pa.int64(),
}
"""Kinds whose value tells how it was written; an event with a value of another kind is no plain
one."""
_EVENTS: Final = "events"
_raws: Final = msgspec.json.Decoder(list[Raw])


@dataclass(frozen=True, slots=True)
class PlainBody:
    """A body of events in the contract's own names, known to be JSON and within the limits."""

    body: bytes = field(repr=False)
    count: int
    data_type: DataType
    limits: EventLimits

    def texts(self) -> RowTexts:
        """Return its events as texts."""
        quick = quick_texts(self.body, self.data_type, self.limits)
        if quick is not None:
            return quick
        columns = JsonColumns.of(self.data_type, SourceMapping())
        records = parse_events(self.body, self.limits)
        return texts_of(records, columns)

    def raws(self) -> list[bytes]:
        """Return each event's own bytes."""
        return list(map(bytes, _raws.decode(self.array())))

    @property
    def is_array(self) -> bool:
        """Whether it is an array, not one event alone."""
        return self.body.startswith(b"[")

    def array(self) -> bytes:
        """Return the body as an array."""
        return self.body if self.is_array else b"[%b]" % self.body


def plain_body(body: bytes, data_type: DataType, limits: EventLimits) -> PlainBody | None:
    """Return a body that holds nothing but JSON and keeps the limits; None when in doubt."""
    if not body.startswith((b"[", b"{")):
        return None
    plain = PlainBody(body, 1, data_type, limits)
    try:
        body.decode()
        parts = _raws.decode(plain.array())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    most = limits.events if plain.is_array else 1
    if not 0 < len(parts) <= most:
        return None
    if len(body) > limits.event_bytes and max(map(_size, parts)) > limits.event_bytes:
        return None
    return replace(plain, count=len(parts))


def read_together(bodies: Sequence[PlainBody], columns: Sequence[str]) -> JsonChunk | None:
    """Return the events of bodies of one data type, numbered through from 1; None when in doubt."""
    pieces: list[bytes] = []
    for body in bodies:
        pieces += (b'{"events":', body.array(), b"}\n")
    text = b"".join(pieces)
    if bodies[0].data_type.definition.carried and b"null" in text:
        return None  # Arrow does not tell a null from what is absent
    events = _read(bodies, text)
    if events is None:
        return None
    frame = pl.DataFrame(pl.Series(_EVENTS, events).struct.unnest())
    if CONTEXT in frame.columns:
        frame = frame.unnest(CONTEXT)
    texts = frame.select(
        pl.col(name).cast(pl.String)
        if name in frame.columns
        else pl.lit(None, dtype=pl.String).alias(name)
        for name in columns
    )
    places = np.arange(1, texts.height + 1, dtype=np.int64)
    faults = REASON_SCHEMA.to_frame()
    return JsonChunk(texts, places, places, faults, _Raws(bodies), _traits(text))


def _traits(text: bytes) -> Traits:
    """Return what holds for every value in a JSON text: no value has more than the text."""
    if not text.isascii() or b"\\" in text or b"\x7f" in text:
        return UNKNOWN
    return Traits(is_plain=True, is_tidy=True, is_solid=b" " not in text)


def _read(bodies: Sequence[PlainBody], text: bytes) -> pa.StructArray | None:
    """Return the events of all bodies as one array of structs; `text` has a body per line."""
    schema = _schema(bodies[0].data_type)
    try:
        table = pj.read_json(
            pa.BufferReader(text),
            # One block, so one chunk.
            read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pj.ParseOptions(schema, unexpected_field_behavior="error"),
        )
    except pa.ArrowInvalid:
        return None
    lists = table.column(_EVENTS).chunk(0)
    events: pa.StructArray = lists.flatten()
    counts = np.diff(pl.Series(lists.offsets).to_numpy())
    if events.null_count or counts.tolist() != [body.count for body in bodies]:
        return None
    return events


@cache
def _schema(data_type: DataType) -> pa.Schema:
    definition = data_type.definition
    names = [
        (found.name, _KINDS[found.kind])
        for found in definition.fields
        if found.kind in _KINDS and not definition.is_in_context(found)
    ]
    if definition.has_context:
        names.append((CONTEXT, pa.struct([(name, pa.string()) for name in CONTEXT_FIELDS])))
    return pa.schema([(_EVENTS, pa.list_(pa.struct(names)))])


class _Raws(Sequence[bytes]):
    """The events' own bytes; of most groups nobody wants to know them."""

    def __init__(self, bodies: Sequence[PlainBody]) -> None:
        self._bodies = bodies
        self._ends = list(accumulate(body.count for body in bodies))
        self._known: dict[int, list[bytes]] = {}

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        which = bisect_right(self._ends, range(len(self))[at])
        if which not in self._known:
            self._known[which] = self._bodies[which].raws()
        return self._known[which][at - self._ends[which]]


def _size(raw: Raw) -> int:
    return len(memoryview(raw))
