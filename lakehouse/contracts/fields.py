"""What a data type is made of: its fields, and all else that the product has to know of it.

Validator, mappings, tables, topics, endpoints, erasure, retention and documentation ask the
definition, so a type is written in one module of `data_types`, and a field in one line of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

ID_LENGTH: Final = 512
TITLE_LENGTH: Final = 4_096
ATTRIBUTES_LENGTH: Final = 65_536
URL_LENGTH: Final = 8_192

EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2262, 1, 1, tzinfo=UTC)
"""Times outside [EARLIEST, LATEST) are not read alike by all engines (calendars, nanoseconds)."""


class FieldKind(StrEnum):
    """How the text of a field is read."""

    TEXT = "text"
    LABEL = "label"
    """A word that senders write in different ways: lower case, no white space around it."""
    INTERACTION_TYPE = "interaction_type"
    TIMESTAMP = "timestamp"
    NUMBER = "number"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    JSON_OBJECT = "json_object"


class ObjectValues(StrEnum):
    """What the values of a JSON object may be."""

    ANY = "any"
    SCALARS = "scalars"
    """Texts, numbers, true, false and null; no object and no list."""
    FLAGS = "flags"
    """true or false, under names of lower-case letters, digits and `_`."""


FLAG_NAME: Final = "[a-z][a-z0-9_]{0,63}"
"""Pattern of the name of a flag."""


@dataclass(frozen=True, slots=True)
class ContractField:
    """A field as senders know it; `stored_as` is its column in the tables when that differs."""

    name: str
    kind: FieldKind
    tag: str
    """Names the field in the text that identities are computed from; never changed or reused."""
    required: bool = False
    max_length: int = ID_LENGTH
    stored_as: str = ""
    tenant_range: bool = False
    """Whether the tenant's time range applies (else only the range every engine can read)."""
    days_ahead: int = 1
    """How many days after its arrival a time may lie before that is odd."""
    values: ObjectValues = ObjectValues.ANY
    """Of a JSON object."""
    in_payload: bool = True
    """Whether the field is part of what an event says, and so of its identity."""
    doc: str = ""
    """What the schema of messages says of it, beside how its kind is written."""

    @property
    def column(self) -> str:
        """Name of the column that holds the field."""
        return self.stored_as or self.name

    @property
    def is_identifier(self) -> bool:
        """Whether the field names a thing: what is odd about such a text is worth a warning."""
        return self.kind is FieldKind.TEXT and self.name.endswith("_id")

    @property
    def is_matched(self) -> bool:
        """Whether other texts are compared with it as it is: white space around it matters."""
        return self.is_identifier or self.name == "event_name"


SENT_FIELDS: Final = "sent_fields"
CONTEXT_FIELDS: Final = ("device_type", "location", "session_id")
"""The fields that may stand in an event's `context`."""
EVENT_ID: Final = "the sender's own id; without one it is computed"
DAY_MS: Final = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class TopicOptions:
    """A topic of Kafka.

    `retention_ms` has to outlast the longest outage that is to be survived, and what was erased
    stays in the topic until it has passed.
    """

    name: str
    partitions: int
    retention_ms: int = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a data type's events are sent over HTTP, `POST /v1/NAME`, and how that is described."""

    name: str
    summary: str
    description: str
    example: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DataTypeDefinition:
    """A data type. Its module in `data_types` is called as the type and its raw table are.

    `rank`: where lists have it, lowest first. `record` and `about`: name and description of a
    message's schema. `objective_hours`: data this fresh loses no points of quality.
    `time_column`: when a row happened, in the raw table. `subjects`: the fields that name a person,
    of which a row needs one at least. `free_texts`: columns whose texts may mention anybody.
    `previous_ids`: names beside the contract's, of whom a record was about before. `state_of`: the
    field of what a row is a state of, None where rows are events; a state is true from then on, a
    field that it does not send stays as it is, and it does not expire. `has_context`: the raw
    table has the context's fields as a struct.
    """

    rank: int
    fields: tuple[ContractField, ...]
    record: str
    about: str
    topic: TopicOptions
    endpoint: Endpoint
    objective_hours: float
    time_column: str = "event_time"
    subjects: tuple[str, ...] = ()
    free_texts: tuple[str, ...] = ()
    previous_ids: frozenset[str] = frozenset()
    state_of: str | None = None
    has_context: bool = False

    @property
    def is_state(self) -> bool:
        """Whether rows are states."""
        return self.state_of is not None

    @property
    def carried(self) -> tuple[str, ...]:
        """The fields that stay as they are when a row does not send them; sent empty: cleared."""
        if not self.is_state:
            return ()
        names = [field.name for field in self.fields if not field.required]
        return tuple(name for name in names if name != self.time_column)

    def is_in_context(self, field: ContractField) -> bool:
        """Whether a field is stored in the context."""
        return self.has_context and field.name in CONTEXT_FIELDS
