"""What events look like in the API's description: made from the contract's own fields."""

from typing import Any, Final

from pydantic import BaseModel, Field

from ingest_service.api.problems import MEDIA_TYPE
from lakehouse.contracts.fields import (
    CONTEXT_FIELDS,
    EARLIEST,
    FLAG_NAME,
    ID_LENGTH,
    LATEST,
    ContractField,
    FieldKind,
    ObjectValues,
)
from lakehouse.contracts.tenant import DataType, InteractionType, TimeRange
from lakehouse.contracts.times import microseconds

SCOPE: Final = "ingest"
"""What a key needs to send events."""

_MILLISECOND: Final = 1_000
_TEXT: Final = ["string", "number", "boolean"]
_NOT_BLANK: Final = (
    r"[^\u0000\t\n\u000b\u000c\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
)
_NO_NUL: Final = r"^[^\u0000]*$"
_BOOLEANS: Final = "^(true|false|t|f|yes|no|y|n|1|0)$"
_DECIMALS: Final = r"^-?[0-9]{1,10}(\.[0-9]{1,4})?$"
_MOST: Final = 10**14 - 1
"""Of a price: 14 digits before the point."""
_MOST_RATING: Final = 10**12 - 1
_MILLISECONDS: Final = "^[1-9][0-9]{11}$"
"""Of texts that are times from 1973 to 2001."""
_YEAR: Final = 367 * 86_400_000
"""So near to 1970 catalogue times are taken for times in another unit."""
_RECENT_MILLISECONDS: Final = "^1[67][0-9]{11}$"
"""Of texts that are times from 2020 to 2027."""


class EventReason(BaseModel):
    """One thing that is wrong with an event; the codes are in docs/codes.md."""

    code: str
    field: str = Field(description="Empty when it is about the event as a whole.")
    reason: str


class EventWarning(BaseModel):
    """One thing that is odd about an event, which is taken all the same: see docs/codes.md."""

    code: str
    field: str = Field(description="The contract's field, or the name in the event not read.")
    reason: str


class EventResult(BaseModel):
    """What became of one event."""

    status: str = Field(description="stored, duplicate, rejected, suppressed, skipped or queued.")
    event_id: str | None = Field(None, description="Its id: yours, or the one computed from it.")
    reasons: list[EventReason] | None = Field(None, description="Why it was rejected: all reasons.")
    warnings: list[EventWarning] | None = Field(
        None, description="What is odd about it, whatever became of it; absent when nothing is."
    )


class EventsAnswer(BaseModel):
    """What became of every event of a request, in its order; it is durable."""

    received: int
    stored: int
    duplicate: int
    rejected: int
    suppressed: int
    skipped: int = Field(description="Left out, as the source mapping says of their type.")
    queued: int
    warning_count: int = Field(
        0, description="How many warnings there are in `results`; absent when there are none."
    )
    batch_id: str | None = Field(description="The batch they are in; null when they are queued.")
    results: list[EventResult]


def event_body(data_type: DataType) -> dict[str, Any]:
    """Return the request body of an endpoint as OpenAPI has it."""
    event = event_schema(data_type)
    schema = {"anyOf": [event, {"type": "array", "items": event, "minItems": 1, "maxItems": 5_000}]}
    example = data_type.definition.endpoint.example
    examples = {
        "one": {"summary": "One", "value": example},
        "several": {"summary": "Several", "value": [example]},
    }
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {
        "requestBody": {"required": True, "content": content},
        "security": [{"Bearer": [SCOPE]}, {"Header": [SCOPE]}],
    }


def event_responses() -> dict[int | str, dict[str, Any]]:
    """Return the answers of an endpoint that takes events."""
    rejected = problem_response("A parameter is wrong.")
    rejected["model"] = EventsAnswer
    rejected["description"] = "Every event was rejected; or a parameter is wrong (a problem)."
    return {
        200: {"description": "Durable; none was rejected.", "model": EventsAnswer},
        202: {"description": "Durable in the queue.", "model": EventsAnswer},
        207: {"description": "Durable; some were rejected.", "model": EventsAnswer},
        422: rejected,
        400: problem_response(
            "The body is not JSON, or the mapping is unknown; nothing is stored."
        ),
        401: problem_response("No valid API key."),
        403: problem_response("The key may not ingest."),
        408: problem_response("The body came too slowly."),
        409: problem_response("A request of the same Idempotency-Key is worked on."),
        413: problem_response("The body, an event, or the number of events is over its limit."),
        415: problem_response("The body is not JSON, or packed in an unknown way."),
        429: waiting_response("Over the tenant's rate or the day's quota; nothing stored."),
        503: waiting_response("Not possible now; not acknowledged."),
        507: waiting_response("No room on the service's disk; not acknowledged."),
    }


def event_schema(data_type: DataType) -> dict[str, Any]:
    """Return the JSON Schema of an event that will be accepted from a tenant without settings."""
    fields = {field.name: _field(field) for field in data_type.definition.fields}
    schema: dict[str, Any] = {
        "type": "object",
        "required": [field.name for field in data_type.definition.fields if field.required],
        "example": data_type.definition.endpoint.example,
    }
    if data_type.definition.has_context:
        context = {name: fields.pop(name) for name in CONTEXT_FIELDS}
        fields["context"] = {"type": ["object", "null"], "properties": context}
    either = data_type.definition.subjects
    if len(either) > 1:
        schema["anyOf"] = [
            {"required": [name], "properties": {name: _required_text({"maxLength": ID_LENGTH})}}
            for name in either
        ]
    schema["properties"] = fields
    return schema


def _field(field: ContractField) -> dict[str, Any]:
    schema = _KINDS[field.kind](field)
    if field.required:
        return schema
    kinds = schema.get("anyOf", [schema])
    return {"anyOf": [*kinds, {"type": "null"}, {"type": "string", "maxLength": 0}]}


def _text(field: ContractField) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _TEXT, "maxLength": field.max_length}
    return _required_text(schema) if field.required else {**schema, "pattern": _NO_NUL}


def _required_text(schema: dict[str, Any]) -> dict[str, Any]:
    pattern = rf"^[^\u0000]*{_NOT_BLANK}[^\u0000]*$"
    return {**schema, "type": _TEXT, "minLength": 1, "pattern": pattern}


def _interaction_type(_: ContractField) -> dict[str, Any]:
    return {
        "type": "string",
        "enum": [kind.value for kind in InteractionType],
        "description": "Of a tenant that has declared `event_types`: one of those.",
    }


def _timestamp(field: ContractField) -> dict[str, Any]:
    believed = TimeRange()
    moments = (believed.start, believed.end) if field.tenant_range else (EARLIEST, LATEST)
    start, end = (microseconds(moment) // _MILLISECOND for moment in moments)
    pattern = _RECENT_MILLISECONDS if field.tenant_range else _MILLISECONDS
    ranges = [(start, end - 1)] if field.tenant_range else [(start, -_YEAR), (_YEAR, end - 1)]
    return {
        "anyOf": [
            *({"type": "number", "minimum": least, "maximum": most} for least, most in ranges),
            {"type": "string", "pattern": pattern},
        ],
        "description": "Milliseconds since 1970-01-01 UTC"
        + (", within the tenant's time range." if field.tenant_range else "."),
    }


def _number(_: ContractField) -> dict[str, Any]:
    number = {"type": "number", "minimum": -_MOST_RATING, "maximum": _MOST_RATING}
    return {"anyOf": [number, {"type": "string", "pattern": _DECIMALS}]}


def _decimal(_: ContractField) -> dict[str, Any]:
    number = {"type": "number", "minimum": -_MOST, "maximum": _MOST}
    return {"anyOf": [number, {"type": "string", "pattern": _DECIMALS}]}


def _boolean(_: ContractField) -> dict[str, Any]:
    number = {"type": "number", "enum": [0, 1]}
    return {"anyOf": [{"type": "boolean"}, number, {"type": "string", "pattern": _BOOLEANS}]}


def _object(field: ContractField) -> dict[str, Any]:
    match field.values:
        case ObjectValues.FLAGS:
            values: dict[str, Any] = {
                "propertyNames": {"pattern": f"^{FLAG_NAME}$"},
                "additionalProperties": {"type": "boolean"},
            }
        case ObjectValues.SCALARS:
            scalars = ["string", "number", "boolean", "null"]
            values = {"additionalProperties": {"type": scalars}}
        case ObjectValues.ANY:
            values = {}
    return {"type": "object", **values}


_KINDS: Final = {
    FieldKind.TEXT: _text,
    FieldKind.LABEL: _text,
    FieldKind.INTERACTION_TYPE: _interaction_type,
    FieldKind.TIMESTAMP: _timestamp,
    FieldKind.NUMBER: _number,
    FieldKind.DECIMAL: _decimal,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.JSON_OBJECT: _object,
}


def problem_response(description: str) -> dict[str, Any]:
    """Return a problem (RFC 9457) as an answer in OpenAPI."""
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"type": "object"}}},
    }


def waiting_response(description: str) -> dict[str, Any]:
    """Return a problem that says how long to wait."""
    header = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
    return {**problem_response(description), "headers": {"Retry-After": header}}
