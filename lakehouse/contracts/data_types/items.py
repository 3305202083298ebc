"""A state of an item of the catalogue."""

from typing import Final

from lakehouse.contracts.fields import (
    ATTRIBUTES_LENGTH,
    DAY_MS,
    TITLE_LENGTH,
    ContractField,
    DataTypeDefinition,
    Endpoint,
    FieldKind,
    TopicOptions,
)

FIELDS: Final = (
    ContractField("item_id", FieldKind.TEXT, "i", required=True),
    ContractField("title", FieldKind.TEXT, "n", max_length=TITLE_LENGTH),
    ContractField("category", FieldKind.TEXT, "c"),
    ContractField("price", FieldKind.DECIMAL, "p"),
    ContractField("available_from", FieldKind.TIMESTAMP, "f", days_ahead=366),
    ContractField("is_active", FieldKind.BOOLEAN, "a"),
    ContractField("attributes", FieldKind.JSON_OBJECT, "j", max_length=ATTRIBUTES_LENGTH),
    ContractField(
        "updated_at", FieldKind.TIMESTAMP, "t", doc="without one the state is of its arrival"
    ),
)

DEFINITION: Final = DataTypeDefinition(
    rank=2,
    fields=FIELDS,
    record="Item",
    about="A state of an item of the catalogue.",
    topic=TopicOptions("items-catalog", partitions=3, retention_ms=14 * DAY_MS),
    endpoint=Endpoint(
        "items",
        "Send catalogue items",
        "Catalogue rows, answered as events are. Without `updated_at` a row says what the item "
        "is like now.",
        {
            "item_id": "sku-77",
            "title": "Walking boots",
            "category": "shoes",
            "price": 129.5,
            "is_active": True,
            "attributes": {"colour": "brown"},
            "updated_at": 1_767_225_600_000,
        },
    ),
    objective_hours=7 * 24.0,
    time_column="updated_at",
    free_texts=("title", "category", "attributes"),
    state_of="item_id",
)
