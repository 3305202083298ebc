"""Every list of topics says the same, and the Avro schemas say what the contract says."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.contracts.avro_schemas import avro_schema
from lakehouse.contracts.fields import CONTEXT_FIELDS, SENT_FIELDS, FieldKind
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.topics import TOPICS, message_key

PROJECT = Path(__file__).resolve().parents[3]
AVRO_TYPES = {
    FieldKind.TIMESTAMP: "long",
    FieldKind.NUMBER: "double",
    FieldKind.BOOLEAN: "boolean",
}


def test_the_compose_file_makes_the_same_topics() -> None:
    compose = yaml.safe_load((PROJECT / "deploy" / "kafka.yaml").read_text())
    lines = compose["services"]["kafka-topics"]["environment"]["TOPICS"].splitlines()
    made = {tuple(line.split()) for line in lines}
    assert made == {(t.name, str(t.partitions), str(t.retention_ms)) for t in TOPICS}


@pytest.mark.parametrize("kind", list(DataType))
def test_avro_schemas_have_the_contracts_fields(kind: DataType) -> None:
    fields = {field["name"]: field for field in avro_schema(kind)["fields"]}
    if kind is DataType.INTERACTIONS:
        context = next(t for t in fields.pop("context")["type"] if isinstance(t, dict))
        fields |= {field["name"]: field for field in context["fields"]}
        assert set(CONTEXT_FIELDS) <= set(fields)
    if kind.definition.carried:  # Avro has no absent field: the names of those sent stand in a list
        names = {"type": "array", "items": "string"}
        assert fields.pop(SENT_FIELDS)["type"] == ["null", names]
    assert set(fields) == {field.name for field in kind.definition.fields}
    for field in kind.definition.fields:
        wanted: Any = AVRO_TYPES.get(field.kind, "string")
        assert fields[field.name]["type"] == (wanted if field.required else ["null", wanted])


def test_keys_name_the_tenant_and_for_the_catalogue_the_item() -> None:
    assert message_key(DataType.INTERACTIONS, "acme", "i1") == b"acme"
    assert message_key(DataType.ITEMS, "acme", "i:1") == b"acme:i:1"
    assert message_key(DataType.USERS, "acme", "u1") == b"acme:u1"


@pytest.mark.parametrize(
    ("kind", "released"),
    [
        (DataType.INTERACTIONS, "ae7ce40e5bceaed9"),
        (DataType.ITEMS, "df9703b970ac5701"),
        (DataType.CLICKSTREAM, "3d358de21167b7aa"),
        (DataType.USERS, "0a8a08fc67f10274"),
    ],
)
def test_schemas_that_producers_have_registered_stay_as_they_are(
    kind: DataType, released: str
) -> None:
    text = json.dumps(avro_schema(kind))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == released, (
        "a new version: be sure of it"
    )
