"""Schemas are looked up once; what the registry has not is asked for again soon."""

import io
import json
from typing import Any

import fastavro
import httpx
import pytest
from schema_registry.client import schema
from schema_registry.client.errors import ClientError

from ingest_service.readers.avro import (
    AWAY_SECONDS,
    UNKNOWN_SECONDS,
    AvroReader,
    BadMessageError,
    read_again,
)
from ingest_service.readers.registries import ConfluentRegistry, RegistryAwayError
from ingest_service.stream.encoding import with_sent_fields
from lakehouse.contracts.avro_schemas import avro_schema
from lakehouse.contracts.reasons import ReasonCode
from lakehouse.contracts.tenant import DataType

KIND = DataType.INTERACTIONS
CARRIED = DataType.ITEMS.definition.carried
ROW = {"user_id": "u", "item_id": "i", "interaction_type": "view", "timestamp": 1}


class Registry:
    """A registry's client; answers are schemas, None or errors."""

    def __init__(self) -> None:
        self.answer: object = None
        self.asked = 0

    def get_by_id(self, schema_id: int) -> object:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def registry() -> Registry:
    return Registry()


def reader(registry: Registry, now: list[float]) -> AvroReader:
    asked = ConfluentRegistry("http://127.0.0.1:9")
    asked._client = registry  # type: ignore[assignment]
    return AvroReader(asked, clock=lambda: now[0])


def message(schema_id: int = 7) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(avro_schema(KIND)), ROW)
    return b"\0" + schema_id.to_bytes(4, "big") + body.getvalue()


def test_an_unknown_id_is_asked_for_again_after_a_while(registry: Registry) -> None:
    now = [0.0]
    avro = reader(registry, now)
    for _ in range(3):
        with pytest.raises(BadMessageError) as caught:
            avro.read(KIND, message())
        assert caught.value.code is ReasonCode.UNKNOWN_SCHEMA
    assert registry.asked == 1  # many bad messages are one question
    registry.answer = schema.AvroSchema(avro_schema(KIND))
    now[0] += UNKNOWN_SECONDS + 0.1
    record, _ = avro.read(KIND, message())
    assert record["user_id"] == "u"
    avro.read(KIND, message())
    assert registry.asked == 2


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectTimeout("slow"),
        ClientError("bad gateway", http_code=502),
        json.JSONDecodeError("no JSON", "<html>", 0),
    ],
    ids=["timeout", "bad gateway", "no JSON"],
)
def test_a_registry_that_fails_says_nothing_about_an_id(
    registry: Registry, error: Exception
) -> None:
    now = [0.0]
    avro = reader(registry, now)
    registry.answer = error
    with pytest.raises(RegistryAwayError):
        avro.read(KIND, message())
    now[0] += AWAY_SECONDS
    registry.answer = schema.AvroSchema(avro_schema(KIND))
    assert avro.read(KIND, message())[0]["item_id"] == "i"


@pytest.mark.parametrize(
    "answer",
    [
        schema.JsonSchema({"type": "object", "properties": {}}),
        ValueError("Unsupported schema type PROTOBUF"),
    ],
    ids=["JSON", "Protobuf"],
)
def test_an_id_of_a_schema_that_is_not_avro_is_one_bad_message(
    registry: Registry, answer: object
) -> None:
    avro = reader(registry, [0.0])
    registry.answer = answer
    with pytest.raises(BadMessageError) as caught:
        avro.read(KIND, message())
    assert caught.value.code is ReasonCode.UNKNOWN_SCHEMA


def items(registry: Registry, written: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Read a catalogue message of a writer's schema."""
    registry.answer = schema.AvroSchema(written)
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(written), record)
    value = b"\0" + (7).to_bytes(4, "big") + body.getvalue()
    record, text = reader(registry, [0.0]).read(DataType.ITEMS, value)
    (again,) = read_again([value], text)
    assert again == {name: again[name] for name in again if name in record}
    return record


def test_a_field_that_the_writers_schema_lacks_was_not_sent(registry: Registry) -> None:
    whole = avro_schema(DataType.ITEMS)
    wanted = ("item_id", "price", "title")
    written = {**whole, "fields": [f for f in whole["fields"] if f["name"] in wanted]}
    found = items(registry, written, {"item_id": "i", "price": "12"})
    assert found == {"item_id": "i", "price": "12", "title": None, "updated_at": None}


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        pytest.param({"price": "12"}, {"price"}, id="one"),
        pytest.param({"price": "12", "title": None}, {"price", "title"}, id="one and a null"),
        pytest.param({}, set(), id="none"),
        pytest.param(dict.fromkeys(CARRIED), set(CARRIED), id="all"),
    ],
)
def test_our_own_messages_say_which_fields_were_sent(
    registry: Registry, event: dict[str, Any], sent: set[str]
) -> None:
    record = with_sent_fields(DataType.ITEMS, {"item_id": "i", **event})
    found = items(registry, avro_schema(DataType.ITEMS), record)
    assert {name for name in CARRIED if name in found} == sent


def test_a_number_of_32_bits_is_the_shortest_that_it_stands_for(registry: Registry) -> None:
    written = avro_schema(KIND)
    fields = [
        one | {"type": ["null", "float"]} if one["name"] == "rating" else one
        for one in written["fields"]
    ]
    registry.answer = schema.AvroSchema(written | {"fields": fields})
    body = io.BytesIO()
    writer = fastavro.parse_schema(written | {"fields": fields})
    fastavro.schemaless_writer(body, writer, ROW | {"rating": 0.1})
    raw = b"\0" + (7).to_bytes(4, "big") + body.getvalue()
    record, text = reader(registry, [0.0]).read(KIND, raw)
    assert record["rating"] == 0.1
    assert [again["rating"] for again in read_again([raw], text) if again] == [0.1]
