"""A user did something with an item."""

from typing import Final

from lakehouse.contracts.fields import (
    EVENT_ID,
    ContractField,
    DataTypeDefinition,
    Endpoint,
    FieldKind,
    TopicOptions,
)

FIELDS: Final = (
    ContractField("event_id", FieldKind.TEXT, "e", in_payload=False, doc=EVENT_ID),
    ContractField("user_id", FieldKind.TEXT, "u", required=True),
    ContractField("item_id", FieldKind.TEXT, "i", required=True),
    ContractField(
        "interaction_type",
        FieldKind.INTERACTION_TYPE,
        "k",
        required=True,
        doc="view, click, purchase, like or dislike",
    ),
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

DEFINITION: Final = DataTypeDefinition(
    rank=1,
    fields=FIELDS,
    record="Interaction",
    about="A user did something with an item.",
    topic=TopicOptions("interactions-raw", partitions=6),
    endpoint=Endpoint(
        "events",
        "Send interactions",
        "One interaction as an object, or up to 5,000 as an array; may be gzip "
        "(`Content-Encoding`). The answer comes when they are durable and says of each event what "
        "became of it: `stored`, `duplicate` (known by its event_id or content), `rejected` with "
        "every reason (kept in quarantine), `suppressed` (of an erased person, dropped), and under "
        "`warnings` what is odd about it: fields that are not read, digits that are lost, words "
        "like NULL. 200: none is rejected, 207: some are, 422: all are. Sending a request again "
        "stores nothing twice.",
        {
            "event_id": "0b6ff4b4-7c1f-4b7e-9d6a-2f1f3c1f8a52",
            "user_id": "u-1842",
            "item_id": "sku-77",
            "interaction_type": "click",
            "timestamp": 1_767_225_600_000,
            "context": {"device_type": "ios", "location": "DE", "session_id": "s-9"},
        },
    ),
    objective_hours=6.0,
    subjects=("user_id",),
    has_context=True,
)
