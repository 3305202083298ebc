"""Messages as rows of texts: whose they are, and what can be read of them."""

import base64
import json
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from ingest_service.readers.avro import AvroReader, BadMessageError
from ingest_service.readers.events.parsing import EventLimits
from ingest_service.readers.events.quick import quick_texts
from ingest_service.readers.json.rows import (
    JsonColumns,
    JsonRecord,
    RowTexts,
    record_of,
    texts_of,
)
from lakehouse.contracts.avro_frames import is_framed
from lakehouse.contracts.avro_schemas import avro_schema
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.reasons import EXPLANATIONS, WARNINGS, ReasonCode, WarningCode
from lakehouse.contracts.strict_json import Parsed, StrictDecoder
from lakehouse.contracts.tenant import (
    UNATTRIBUTED,
    DataType,
    SourceMapping,
    TenantSettings,
)
from lakehouse.contracts.topics import KEY_SEPARATOR, MAPPING_HEADER, STREAM_MAPPING
from lakehouse.contracts.unread import MOST_PER_ROW, Unread
from lakehouse.errors import EtaError

TENANT_FIELD: Final = "tenant_id"
CONTRACT: Final = "contract"
BYTES: Final = SourceLayout(format="bytes")
ENVELOPE: Final = SourceLayout(format="message")
_MANY: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Position:
    """Where a message stands: the feed's number within the micro-batch, and its offset."""

    part: int
    offset: int


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A message that is no row."""

    place: Position
    raw: bytes
    layout: SourceLayout
    code: ReasonCode
    message: str


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows of a tenant that are written alike."""

    places: list[Position]
    texts: RowTexts
    layout: SourceLayout

    def raws(self, rows: Sequence[int]) -> list[bytes]:
        """Return rows as they came, by position."""
        return [bytes(self.texts.raws[row]) for row in rows]


@dataclass(slots=True)
class TenantMessages:
    """A tenant's messages of a micro-batch, of one data type."""

    tenant_id: str
    data_type: DataType
    groups: list[RowGroup] = field(default_factory=list)
    bad: list[BadMessage] = field(default_factory=list)


@dataclass(slots=True)
class _Sorted:
    """Messages of one tenant and data type before they are read."""

    json: dict[str | None, list[tuple[Position, bytes, bytes | None]]] = field(default_factory=dict)
    """By the mapping that the message asks for."""
    avro: list[tuple[Position, bytes, bytes | None]] = field(default_factory=list)
    bad: list[BadMessage] = field(default_factory=list)


class MessageReader:
    """Sorts messages by tenant and reads them; `settings` returns None for an unknown tenant."""

    def __init__(
        self,
        avro: AvroReader,
        settings: Callable[[str], TenantSettings | None],
        max_bytes: int,
    ) -> None:
        self._avro = avro
        self._settings = settings
        self._max_bytes = max_bytes
        self._decoder = StrictDecoder()

    def read(
        self, parts: Sequence[tuple[DataType, Sequence[Any]]], poison: Set[Position] = frozenset()
    ) -> list[TenantMessages]:
        """Return the messages (Kafka's records) of a micro-batch's parts by tenant.

        Messages that name no tenant, or two, are `UNATTRIBUTED`; those at `poison` are not read.
        Raises `RegistryAwayError` when
        an Avro message cannot be judged now.
        """
        found: list[TenantMessages] = []
        for data_type in dict.fromkeys(kind for kind, _ in parts):
            homeless: list[BadMessage] = []
            for tenant_id, messages in self._sort(data_type, parts, homeless, poison).items():
                found.append(self._read(data_type, tenant_id, messages, homeless))
            if homeless:
                found.append(TenantMessages(UNATTRIBUTED, data_type, bad=homeless))
        return found

    def _sort(
        self,
        data_type: DataType,
        parts: Sequence[tuple[DataType, Sequence[Any]]],
        homeless: list[BadMessage],
        poison: Set[Position],
    ) -> dict[str, _Sorted]:
        by_tenant: dict[str, _Sorted] = {}
        tenants: dict[bytes | None, str | None] = {}
        for part, (kind, records) in enumerate(parts):
            if kind is not data_type:
                continue
            for record in records:
                key, value = record.key, record.value
                place = Position(part, record.offset)
                if key not in tenants:
                    tenants[key] = self._tenant_of(key, data_type)
                tenant_id = tenants[key]
                if tenant_id is None:
                    homeless.append(_homeless(place, key, value, ReasonCode.UNKNOWN_TENANT))
                    continue
                mine = by_tenant.setdefault(tenant_id, _Sorted())
                if value is None:
                    mine.bad.append(_bad(place, b"", ReasonCode.TOMBSTONE))
                elif place in poison:
                    mine.bad.append(_bad(place, value, ReasonCode.UNREADABLE_MESSAGE))
                elif len(value) > self._max_bytes:
                    mine.bad.append(_bad(place, value, ReasonCode.MESSAGE_TOO_LARGE))
                elif is_framed(value):
                    mine.avro.append((place, value, key))
                else:
                    asked = _asked_mapping(record.headers) if record.headers else None
                    mine.json.setdefault(asked, []).append((place, value, key))
        return by_tenant

    def _tenant_of(self, key: bytes | None, data_type: DataType) -> str | None:
        if key is None:
            return None
        try:
            text = key.decode("utf-8")
        except UnicodeDecodeError:
            return None
        tenant_id = text.partition(KEY_SEPARATOR)[0] if data_type.definition.is_state else text
        return tenant_id if self._settings(tenant_id) is not None else None

    def _read(
        self,
        data_type: DataType,
        tenant_id: str,
        messages: _Sorted,
        homeless: list[BadMessage],
    ) -> TenantMessages:
        settings = self._settings(tenant_id)
        assert settings is not None
        found = TenantMessages(tenant_id, data_type, bad=messages.bad)
        for asked, alike in messages.json.items():
            name, mapping = mapping_of(settings, data_type, asked)
            columns = JsonColumns.of(data_type, mapping)
            group = self._read_json(data_type, alike, columns, name)
            group = _with_unread_settings(group, mapping)
            found.groups.append(_of_tenant(group, tenant_id, alike, homeless))
        name, mapping = mapping_of(settings, data_type)
        columns = JsonColumns.of(data_type, mapping)
        for group in self._read_avro(data_type, messages.avro, columns, name, found.bad):
            found.groups.append(_with_unread_settings(group, mapping))
        return found

    def _read_json(
        self,
        data_type: DataType,
        messages: list[tuple[Position, bytes, bytes | None]],
        columns: JsonColumns,
        mapping: str,
    ) -> RowGroup:
        values = [value for _, value, _ in messages]
        texts = None
        if mapping == CONTRACT and columns.names == _contract_names(data_type):
            body = b"[" + b",".join(values) + b"]"
            limits = EventLimits(_MANY, _MANY)
            texts = quick_texts(body, data_type, limits, TENANT_FIELD)
            if texts is not None and texts.raws != values:
                texts = None  # messages that are JSON only together
        if texts is None:
            records = [record_of(value, 0, 0, self._decoder) for value in values]
            names = tuple(dict.fromkeys((*columns.names, TENANT_FIELD)))
            texts = texts_of(records, columns, names)
        layout = SourceLayout(format="json", columns=columns.names, mapping=mapping)
        return RowGroup([place for place, _, _ in messages], texts, layout)

    def _read_avro(
        self,
        data_type: DataType,
        messages: list[tuple[Position, bytes, bytes | None]],
        columns: JsonColumns,
        mapping: str,
        bad: list[BadMessage],
    ) -> list[RowGroup]:
        """Return one group per schema."""
        by_schema: dict[str, tuple[list[Position], list[JsonRecord]]] = {}
        for place, sent, _ in messages:
            value = sent
            try:
                value = self._avro.unpack(sent, self._max_bytes)
                record, schema_text = self._avro.read(data_type, value)
            except BadMessageError as error:
                layout = BYTES
                if error.schema_text is not None:
                    layout = SourceLayout(format="avro", schema_text=error.schema_text)
                bad.append(BadMessage(place, value, layout, error.code, error.message))
                continue
            places, records = by_schema.setdefault(schema_text, ([], []))
            places.append(place)
            records.append(JsonRecord(value, 0, 0, Parsed(record, 0, has_repeated_name=False)))
        return [
            RowGroup(
                places,
                _with_unread(
                    texts_of(records, columns, reports_unread=False),
                    _unread_of_schema(text, data_type, columns),
                ),
                SourceLayout(
                    format="avro", columns=columns.names, mapping=mapping, schema_text=text
                ),
            )
            for text, (places, records) in by_schema.items()
        ]


def _unread_of_schema(schema_text: str, data_type: DataType, columns: JsonColumns) -> list[Unread]:
    """Return the fields of a writer's schema that this version's lacks, and so never reads."""
    if columns.unread is None:
        return []
    written = json.loads(schema_text).get("fields", [])
    known = {field["name"] for field in avro_schema(data_type)["fields"]}
    names = [field["name"] for field in written if field["name"] not in known]
    return list(columns.unread.among(names))[:MOST_PER_ROW]


def _with_unread(texts: RowTexts, unread: Sequence[Unread]) -> RowTexts:
    if not unread:
        return texts
    faults = [
        (row, one.code.value, one.name, one.name, f"{one.name} is {one.message}")
        for row in range(texts.count)
        for one in unread
    ]
    return replace(texts, faults=[*texts.faults, *faults])


def _with_unread_settings(group: RowGroup, mapping: SourceMapping) -> RowGroup:
    """Tell of each message which settings of its mapping are for lines of files."""
    if not mapping.file_settings:
        return group
    code = WarningCode.UNREAD_SETTINGS
    why = f"{WARNINGS[code].meaning}: {', '.join(mapping.file_settings)}"
    told = [(row, code.value, "", "", why) for row in range(group.texts.count)]
    return replace(group, texts=replace(group.texts, faults=[*group.texts.faults, *told]))


def mapping_of(
    settings: TenantSettings, data_type: DataType, asked: str | None = None
) -> tuple[str, SourceMapping]:
    """Return name and mapping that a tenant's messages are read with.

    The one that a message asks for, if the tenant has it; else the tenant's own for messages.
    """
    if asked is not None:
        with suppress(EtaError):
            return asked, settings.mapping(asked, data_type)
    name = STREAM_MAPPING if STREAM_MAPPING in settings.sources else CONTRACT
    return name, settings.mapping(name, data_type)


@cache
def _contract_names(data_type: DataType) -> tuple[str, ...]:
    """The names of messages that need no mapping; a tenant may have one called `contract`."""
    return JsonColumns.of(data_type, SourceMapping()).names


def _asked_mapping(headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    for name, value in headers:
        if name == MAPPING_HEADER and value is not None:
            return value.decode("utf-8", errors="replace")
    return None


def _of_tenant(
    group: RowGroup,
    tenant_id: str,
    messages: list[tuple[Position, bytes, bytes | None]],
    homeless: list[BadMessage],
) -> RowGroup:
    """Take out messages that say they are another tenant's than their key does."""
    said = group.texts.values.pop(TENANT_FIELD, None)
    if said is None or set(said) <= {None, tenant_id}:
        return group
    kept = [row for row, who in enumerate(said) if who is None or who == tenant_id]
    for row in sorted(set(range(len(said))) - set(kept)):
        place, value, key = messages[row]
        homeless.append(_homeless(place, key, value, ReasonCode.TENANT_MISMATCH))
    return RowGroup([group.places[row] for row in kept], group.texts.only(kept), group.layout)


def _bad(place: Position, value: bytes, code: ReasonCode) -> BadMessage:
    return BadMessage(place, value, BYTES, code, EXPLANATIONS[code].meaning)


def _homeless(
    place: Position, key: bytes | None, value: bytes | None, code: ReasonCode
) -> BadMessage:
    """Keep key and value: nobody else knows whose the message was meant to be."""
    whole = {
        "key": None if key is None else base64.b64encode(key).decode(),
        "value": None if value is None else base64.b64encode(value).decode(),
    }
    raw = json.dumps(whole).encode()
    return BadMessage(place, raw, ENVELOPE, code, EXPLANATIONS[code].meaning)
