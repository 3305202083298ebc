"""The Avro schemas of messages, made from the contract's fields.

The registry knows each under the subject `TOPIC-value`. Fields may be added with a default; what
a schema once had stays readable (compatibility BACKWARD).
"""

from typing import Any, Final

from lakehouse.contracts.fields import CONTEXT_FIELDS, SENT_FIELDS, ContractField, FieldKind
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.topics import topic_of

COMPATIBILITY: Final = "BACKWARD"
NAMESPACE: Final = "com.embeddings.saas"

_TYPES: Final = {
    FieldKind.TIMESTAMP: "long",
    FieldKind.NUMBER: "double",
    FieldKind.BOOLEAN: "boolean",
}
"""The other kinds are strings."""
_DOCS: Final = {
    FieldKind.TIMESTAMP: "milliseconds since 1970-01-01 UTC",
    FieldKind.DECIMAL: "a decimal number as text, so that no digit changes",
    FieldKind.JSON_OBJECT: "a JSON object as text",
}
_SENT: Final = (
    "the names of the fields that are sent, those sent as null among them; the others stay as they "
    "are. null: all of them are sent"
)
_LATER: Final = ("event_id", "rating")
"""Fields that came after the first release: they stand last, as registries have them."""


def avro_schema(data_type: DataType) -> dict[str, Any]:
    """Return the schema of a data type's messages."""
    one = data_type.definition
    plain = [field for field in one.fields if not one.is_in_context(field)]
    fields = [_field(field) for field in plain if field.name not in _LATER]
    if one.has_context:
        context = [_nullable(name, "string") for name in CONTEXT_FIELDS]
        fields.append(
            _nullable("context", {"type": "record", "name": "Context", "fields": context})
        )
    fields += [_field(field) for field in plain if field.name in _LATER]
    if one.carried:
        names = {"type": "array", "items": "string"}
        fields.append({**_nullable(SENT_FIELDS, names), "doc": _SENT})
    return {
        "type": "record",
        "name": one.record,
        "namespace": NAMESPACE,
        "doc": one.about,
        "fields": fields,
    }


def subject(data_type: DataType, prefix: str = "") -> str:
    """Return the registry's name for the values of the data type's topic."""
    return f"{topic_of(data_type, prefix).name}-value"


def _field(field: ContractField) -> dict[str, Any]:
    kind = _TYPES.get(field.kind, "string")
    doc = "; ".join(text for text in (_DOCS.get(field.kind, ""), field.doc) if text)
    found = {"name": field.name, "type": kind} if field.required else _nullable(field.name, kind)
    return {**found, "doc": doc} if doc else found


def _nullable(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None}
