"""The contract's fields per data type: what kind each is, whether it is required, how long.

The validator, the mapping check, the documentation and the row-by-row reference of the tests all
read this list, so a field is added in one place.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from lakehouse.contracts.tenant import DataType

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
    in_payload: bool = True
    """Whether the field is part of what an event says, and so of its identity."""

    @property
    def column(self) -> str:
        """Name of the column that holds the field."""
        return self.stored_as or self.name

    @property
    def is_identifier(self) -> bool:
        """Whether the field names a thing: what is odd about such a text is worth a warning."""
        return self.kind is FieldKind.TEXT and self.name.endswith("_id")


INTERACTION_FIELDS: Final = (
    ContractField("event_id", FieldKind.TEXT, "e", in_payload=False),
    ContractField("user_id", FieldKind.TEXT, "u", required=True),
    ContractField("item_id", FieldKind.TEXT, "i", required=True),
    ContractField("interaction_type", FieldKind.INTERACTION_TYPE, "k", required=True),
    ContractField(
        "timestamp",
        FieldKind.TIMESTAMP,
        "t",
        required=True,
        stored_as="event_time",
        tenant_range=True,
    ),
    ContractField("rating", FieldKind.NUMBER, "r"),
    ContractField("device_type", FieldKind.LABEL, "d"),
    ContractField("location", FieldKind.TEXT, "l"),
    ContractField("session_id", FieldKind.TEXT, "s"),
)

ITEM_FIELDS: Final = (
    ContractField("item_id", FieldKind.TEXT, "i", required=True),
    ContractField("title", FieldKind.TEXT, "n", max_length=TITLE_LENGTH),
    ContractField("category", FieldKind.TEXT, "c"),
    ContractField("price", FieldKind.DECIMAL, "p"),
    ContractField("available_from", FieldKind.TIMESTAMP, "f", days_ahead=366),
    ContractField("is_active", FieldKind.BOOLEAN, "a"),
    ContractField("attributes", FieldKind.JSON_OBJECT, "j", max_length=ATTRIBUTES_LENGTH),
    ContractField("updated_at", FieldKind.TIMESTAMP, "t"),
)

CLICKSTREAM_FIELDS: Final = (
    ContractField("event_id", FieldKind.TEXT, "e", in_payload=False),
    ContractField("event_name", FieldKind.TEXT, "n", required=True),
    ContractField("user_id", FieldKind.TEXT, "u"),
    ContractField("anonymous_id", FieldKind.TEXT, "a"),
    ContractField("session_id", FieldKind.TEXT, "s", required=True),
    ContractField("item_id", FieldKind.TEXT, "i"),
    ContractField("url", FieldKind.TEXT, "l", max_length=URL_LENGTH),
    ContractField(
        "timestamp",
        FieldKind.TIMESTAMP,
        "t",
        required=True,
        stored_as="event_time",
        tenant_range=True,
    ),
    ContractField("properties", FieldKind.JSON_OBJECT, "p", max_length=ATTRIBUTES_LENGTH),
)

CONTEXT_FIELDS: Final = ("device_type", "location", "session_id")

FIELDS: Final[dict[DataType, tuple[ContractField, ...]]] = {
    DataType.INTERACTIONS: INTERACTION_FIELDS,
    DataType.ITEMS: ITEM_FIELDS,
    DataType.CLICKSTREAM: CLICKSTREAM_FIELDS,
}

CARRIED_FIELDS: Final[dict[DataType, tuple[str, ...]]] = {
    DataType.INTERACTIONS: (),
    DataType.ITEMS: tuple(
        field.name for field in ITEM_FIELDS if not field.required and field.name != "updated_at"
    ),
    DataType.CLICKSTREAM: (),
}
"""The fields that stay as they are when a row does not send them; sent empty, they are cleared."""

SUBJECT_COLUMNS: Final[dict[DataType, tuple[str, ...]]] = {
    DataType.INTERACTIONS: ("user_id",),
    DataType.ITEMS: (),
    DataType.CLICKSTREAM: ("user_id", "anonymous_id"),
}
"""The columns that name a person. A row needs a value in one of them at least, where there are."""
