"""A state of a user: what is known of one, and what one has agreed to."""

from typing import Final

from lakehouse.contracts.fields import (
    ATTRIBUTES_LENGTH,
    ContractField,
    DataTypeDefinition,
    Endpoint,
    FieldKind,
    ObjectValues,
    TopicOptions,
)

FIELDS: Final = (
    ContractField("user_id", FieldKind.TEXT, "u", required=True),
    ContractField(
        "attributes",
        FieldKind.JSON_OBJECT,
        "a",
        max_length=ATTRIBUTES_LENGTH,
        values=ObjectValues.SCALARS,
        doc="values are texts, numbers, true, false or null",
    ),
    ContractField(
        "consent",
        FieldKind.JSON_OBJECT,
        "c",
        max_length=ATTRIBUTES_LENGTH,
        values=ObjectValues.FLAGS,
        doc="true or false per purpose, for example training; a purpose that is left out stays",
    ),
    ContractField(
        "updated_at", FieldKind.TIMESTAMP, "t", doc="without one the state is of its arrival"
    ),
)

DEFINITION: Final = DataTypeDefinition(
    rank=4,
    fields=FIELDS,
    record="User",
    about="A state of a user, and what the user has agreed to.",
    topic=TopicOptions("users-catalog", partitions=3),
    endpoint=Endpoint(
        "users",
        "Send users",
        "States of users, answered as events are. `consent` says per purpose whether the user "
        "agrees; a purpose that is left out stays. Without `updated_at` a row says what is so now.",
        {
            "user_id": "u-1842",
            "attributes": {"country": "DE", "plan": "plus", "age": 41},
            "consent": {"training": True},
            "updated_at": 1_767_225_600_000,
        },
    ),
    objective_hours=7 * 24.0,
    time_column="updated_at",
    subjects=("user_id",),
    free_texts=("attributes",),
    state_of="user_id",
)
