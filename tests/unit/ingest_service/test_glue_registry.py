"""Messages in the frame of AWS Glue's serializers, with a registry of Glue from moto's server."""

import io
import json
import zlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.readers.avro import (
    CHECKED_SECONDS,
    UNKNOWN_SECONDS,
    AvroReader,
    BadMessageError,
)
from ingest_service.readers.messages import MessageReader
from ingest_service.readers.registries import (
    GlueRegistry,
    RegistryAwayError,
    StillCheckedError,
    glue_client,
)
from ingest_service.stream.encoding import AvroEncoder
from ingest_service.stream.registered import GlueSchemas
from lakehouse.contracts.avro_frames import (
    GLUE_BYTES,
    FrameError,
    frame_of,
    is_framed,
    unpacked,
)
from lakehouse.contracts.avro_schemas import avro_schema
from lakehouse.contracts.identifying import IdentifyingFields
from lakehouse.contracts.reasons import ReasonCode
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.dev.servers import Server

KIND = DataType.INTERACTIONS
ROW = {
    "user_id": "u-17",
    "item_id": "i",
    "interaction_type": "view",
    "timestamp": 1_767_225_600_000,
}
MINE = "eta"
MOST = 100_000


@pytest.fixture
def glue(s3: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an account of AWS with the registries `eta` and `others`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", s3.addresses["url"])
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"{uuid4().int % 10**12:012}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    for name in (MINE, "others"):
        client = glue_client()
        client.create_registry(RegistryName=name)
    yield s3.addresses["url"]
    for name in (MINE, "others"):
        client.delete_registry(RegistryId={"RegistryName": name})


def compressed(message: bytes) -> bytes:
    """As Glue's serializer writes it when it is told to compress."""
    return b"\3\5" + message[2:GLUE_BYTES] + zlib.compress(message[GLUE_BYTES:])


def body(row: dict[str, object] = ROW) -> bytes:
    found = io.BytesIO()
    fastavro.schemaless_writer(found, fastavro.parse_schema(avro_schema(KIND)), row)
    return found.getvalue()


def register(registry: str, name: str, text: str, kind: str = "AVRO") -> UUID:
    made = glue_client().create_schema(
        RegistryId={"RegistryName": registry},
        SchemaName=name,
        DataFormat=kind,
        Compatibility="NONE",
        SchemaDefinition=text,
    )
    return UUID(made["SchemaVersionId"])


def test_what_is_written_with_a_schema_of_glue_is_read(glue: str) -> None:
    encoder = AvroEncoder(GlueSchemas(MINE))
    message = encoder.encode("acme", KIND, ROW)
    assert message[:2] == b"\3\0"
    again = AvroEncoder(GlueSchemas(MINE)).encode("acme", KIND, ROW)
    assert again == message, "a schema is registered once"
    reader = AvroReader(None, GlueRegistry(MINE))
    plain = reader.unpack(compressed(message), MOST)
    assert plain == message
    for value in (message, plain):
        record, text = reader.read(KIND, value)
        assert ROW.items() <= record.items()
        assert json.loads(text)["name"] == "Interaction"


def test_a_schema_that_grew_is_another_version(glue: str) -> None:
    older = avro_schema(KIND) | {"doc": "of an earlier release"}
    register(MINE, "interactions-raw", json.dumps(older))
    message = AvroEncoder(GlueSchemas(MINE)).encode("acme", KIND, ROW)
    assert AvroReader(None, GlueRegistry(MINE)).read(KIND, message)[0]["user_id"] == "u-17"


def test_other_versions_are_bad_messages_and_hold_nobody_up(glue: str) -> None:
    reader = AvroReader(None, GlueRegistry(MINE))
    elsewhere = register("others", "theirs", json.dumps(avro_schema(KIND)))
    other_kind = register(
        MINE, "numbers", '{"$schema": "http://json-schema.org/draft-07/schema#"}', "JSON"
    )
    for version in (uuid4(), elsewhere, other_kind):
        with pytest.raises(BadMessageError) as caught:
            reader.read(KIND, b"\3\0" + version.bytes + body())
        assert caught.value.code is ReasonCode.UNKNOWN_SCHEMA
        assert str(version) in caught.value.message


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param({"Status": "PENDING"}, "still checking", id="being checked"),
        pytest.param({"Status": None}, "KeyError", id="no answer of Glue's"),
        pytest.param({"SchemaArn": "here"}, "IndexError", id="no name of Glue's"),
    ],
)
def test_what_cannot_be_told_yet_is_waited_for(
    glue: str, answer: dict[str, str | None], why: str
) -> None:
    whole: dict[str, str | None] = {
        "SchemaArn": f"arn:aws:glue:eu-central-1:1:schema/{MINE}/interactions-raw",
        "Status": "AVAILABLE",
        "DataFormat": "AVRO",
        "SchemaDefinition": "{}",
        **answer,
    }
    said = {name: value for name, value in whole.items() if value is not None}
    registry = GlueRegistry(MINE)
    registry._client = SimpleNamespace(get_schema_version=lambda **_: said)  # type: ignore[assignment]
    with pytest.raises(RegistryAwayError, match=why):
        AvroReader(None, registry).read(KIND, b"\3\0" + uuid4().bytes + body())


def lookup(answers: dict[UUID, Any]) -> tuple[AvroReader, list[UUID], list[float]]:
    """A reader whose registry gives, or raises, what it is told to; what it was asked; the time."""
    asked: list[UUID] = []
    now = [0.0]

    def schema(version: UUID) -> Any:
        asked.append(version)
        if isinstance(answers[version], Exception):
            raise answers[version]
        return answers[version]

    return AvroReader(None, SimpleNamespace(schema=schema), lambda: now[0]), asked, now


def test_a_schema_that_is_checked_for_ever_holds_up_nobody_else_and_not_for_ever() -> None:
    checked, good = uuid4(), uuid4()
    answers = {checked: StillCheckedError(), good: avro_schema(KIND)}
    reader, asked, now = lookup(answers)
    message = b"\3\0" + checked.bytes + body()
    for _ in range(3):
        with pytest.raises(RegistryAwayError):
            reader.read(KIND, message)
    assert asked == [checked], "not asked once per message"
    assert reader.read(KIND, b"\3\0" + good.bytes + body())
    now[0] = CHECKED_SECONDS
    with pytest.raises(BadMessageError) as caught:
        reader.read(KIND, message)
    assert caught.value.code is ReasonCode.UNKNOWN_SCHEMA
    answers[checked] = avro_schema(KIND)
    now[0] += UNKNOWN_SECONDS
    assert reader.read(KIND, message), "once it is decided"


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "no such type"}, id="none of Avro's"),
        pytest.param(
            avro_schema(KIND)
            | {"fields": [{"name": "x", "type": {"type": "array", "items": "null"}}]},
            id="a list of values that take no bytes",
        ),
    ],
)
def test_a_schema_that_cannot_be_read_is_asked_for_once(schema: Any) -> None:
    version = uuid4()
    reader, asked, _ = lookup({version: schema})
    for _ in range(5):
        with pytest.raises(BadMessageError) as caught:
            reader.read(KIND, b"\3\0" + version.bytes + body())
        assert caught.value.code is ReasonCode.UNKNOWN_SCHEMA
    assert asked == [version]


def test_a_registry_that_does_not_answer_is_waited_for(
    glue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", "http://127.0.0.1:9")
    reader = AvroReader(None, GlueRegistry(MINE))
    with pytest.raises(RegistryAwayError, match="EndpointConnectionError"):
        reader.read(KIND, b"\3\0" + uuid4().bytes + body())


def read(value: bytes) -> tuple[list[bytes], list[str]]:
    """Read a message as a consumer without registries: what is kept of it, and why."""
    reader = MessageReader(AvroReader(None), lambda _: TenantSettings(), MOST)
    record = SimpleNamespace(key=b"acme", value=value, offset=0, headers=())
    (found,) = reader.read([(KIND, [record])])
    return [bad.raw for bad in found.bad], [bad.code.value for bad in found.bad]


def test_without_a_registry_of_glue_its_messages_go_to_quarantine_unpacked() -> None:
    """They could be anybody's: no partition waits, and an erasure can look into them."""
    message = b"\3\0" + uuid4().bytes + body()
    assert read(compressed(message)) == ([message], ["unknown_schema"])
    assert b"u-17" not in compressed(message)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        pytest.param(b"\3", "too short", id="a byte"),
        pytest.param(b"\3\0" + bytes(16), "too short", id="no record"),
        pytest.param(b"\3\7" + bytes(20), "unknown way", id="another compression"),
        pytest.param(b"\3\5" + bytes(20), "cannot be unpacked", id="no zlib"),
        pytest.param(compressed(b"\3\0" + bytes(16) + body())[:-5], "cut", id="cut"),
        pytest.param(compressed(b"\3\0" + bytes(16) + body()) + b"x", "follows", id="more"),
        pytest.param(compressed(b"\3\0" + bytes(10**7)), "larger than 100,000", id="a bomb"),
    ],
)
def test_what_cannot_be_unpacked_is_told_and_kept_as_it_was_sent(value: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        frame_of(unpacked(value, MOST))
    assert read(value) == ([value], ["bad_avro"])


@given(st.binary(min_size=1, max_size=300), st.uuids())
def test_a_message_is_the_same_however_it_was_sent(record: bytes, version: UUID) -> None:
    plain = b"\3\0" + version.bytes + record
    assert unpacked(plain, MOST) == plain
    assert unpacked(compressed(plain), MOST) == plain
    assert frame_of(plain) == (version, record)
    assert is_framed(plain)
    number = version.int & 0xFFFFFFFF
    confluent = b"\0" + number.to_bytes(4, "big") + record
    assert unpacked(confluent, MOST) == confluent
    assert frame_of(confluent) == (number, record)


def test_a_person_is_found_in_a_compressed_message_of_nobody() -> None:
    from base64 import b64encode

    from ingest_service.readers.messages import ENVELOPE
    from lakehouse.privacy.records import RecordReader

    sent = compressed(b"\3\0" + uuid4().bytes + body())
    raw = json.dumps({"key": None, "value": b64encode(sent).decode()}).encode()
    assert "u-17" in RecordReader(ENVELOPE, IdentifyingFields()).named(raw).untold
