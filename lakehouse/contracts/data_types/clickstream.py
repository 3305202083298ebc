"""Something that happened on a page or in an app."""

from typing import Final

from lakehouse.contracts.fields import (
    ATTRIBUTES_LENGTH,
    EVENT_ID,
    URL_LENGTH,
    ContractField,
    DataTypeDefinition,
    Endpoint,
    FieldKind,
    TopicOptions,
)

FIELDS: Final = (
    ContractField("event_id", FieldKind.TEXT, "e", in_payload=False, doc=EVENT_ID),
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

DEFINITION: Final = DataTypeDefinition(
    rank=3,
    fields=FIELDS,
    record="ClickstreamEvent",
    about="Something that happened on a page or in an app.",
    topic=TopicOptions("events-clickstream", partitions=6),
    endpoint=Endpoint(
        "clickstream",
        "Send clickstream events",
        "Clickstream events, answered as interactions are. One of `user_id` and `anonymous_id` "
        "is required.",
        {
            "event_name": "search",
            "anonymous_id": "a-55",
            "session_id": "s-9",
            "timestamp": 1_767_225_600_000,
            "properties": {"query": "boots"},
        },
    ),
    objective_hours=6.0,
    subjects=("user_id", "anonymous_id"),
    free_texts=("url", "properties"),
    previous_ids=frozenset({"previousId"}),
)
