"""Avro object container files: records as rows, blocks unpacked within bounds."""

import json
from datetime import UTC, datetime
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from ingest_service.readers.avro_file.container import MAGIC
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import DataType, SourceMapping
from tests.support.tables import avro, take

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FIELDS = {
    "user_id": "string",
    "item_id": "string",
    "interaction_type": "string",
    "timestamp": {"type": "long", "logicalType": "timestamp-millis"},
}
GOOD = {"user_id": "u", "item_id": "i", "interaction_type": "view", "timestamp": AT}


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "bzip2", "xz"])
def test_every_codec_is_read(tmp_path: Path, codec: str) -> None:
    rows = [GOOD | {"user_id": f"u{n}"} for n in range(3_000)]
    taken = take(tmp_path, avro(FIELDS, rows, codec))
    assert len(taken.stored) == 3_000
    assert taken.stored[-1]["source_ref"] == "record:0000003000"


@pytest.mark.parametrize(
    ("kind", "value", "expected", "code"),
    [
        ("long", 12345678901234567, "12345678901234567", None),
        ("double", 123.0, "123", "typed_identifier"),
        ("double", 2.0**53 + 2, "9007199254740994", "long_number_identifier"),
        ("string", "00123", "00123", None),
        ("bytes", b"ab", "ab", None),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "B", None),
    ],
)
def test_identifiers_keep_their_digits(
    tmp_path: Path, kind: Any, value: Any, expected: str, code: str | None
) -> None:
    taken = take(tmp_path, avro(FIELDS | {"item_id": kind}, [GOOD | {"item_id": value}]))
    assert taken.stored[0]["item_id"] == expected
    assert list(taken.warnings) == ([code] if code else [])


def test_wrong_records_are_told_by_their_number_and_kept_as_json(tmp_path: Path) -> None:
    who = {"type": "record", "name": "Who", "fields": [{"name": "id", "type": "string"}]}
    rows = [GOOD | {"who": {"id": "a"}}, GOOD | {"who": {"id": "b"}, "interaction_type": "stare"}]
    mapping = SourceMapping(columns={"user_id": "who.id"})
    taken = take(tmp_path, avro(FIELDS | {"who": who}, rows), mapping)
    assert taken.errors == [("record 2", "interaction_type", "unknown_interaction_type")]
    assert json.loads(taken.kept[0]["raw"])["who"] == {"id": "b"}
    assert taken.stored[0]["user_id"] == "a"


def test_a_missing_field_refuses_the_file(tmp_path: Path) -> None:
    fields = {name: kind for name, kind in FIELDS.items() if name != "item_id"}
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, avro(fields, [GOOD]))
    assert raised.value.code == "missing_columns"


def test_a_field_that_is_null_clears_and_one_that_is_not_there_does_not(tmp_path: Path) -> None:
    fields = {"item_id": "string", "title": ["null", "string"]}
    taken = take(
        tmp_path, avro(fields, [{"item_id": "i", "title": None}]), data_type=DataType.ITEMS
    )
    assert taken.stored[0]["sent_fields"] == ["title"]


def test_a_block_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    content = avro(FIELDS, [GOOD | {"item_id": "x" * 80_000_000}], "deflate")
    assert len(content) < 200_000
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content)
    assert raised.value.code == "file_too_large"


@pytest.mark.parametrize("cut", [5, 40, -20, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, avro(FIELDS, [GOOD] * 3)[:cut])
    assert raised.value.code == "damaged_file"


SELF = {"type": "record", "name": "S", "fields": [{"name": "next", "type": "S"}]}
EMPTY = {"type": "record", "name": "Empty", "fields": []}


def container(schema: Any, block: bytes, count: int) -> bytes:
    """A container with one block, whatever the block holds."""
    text = json.dumps(schema).encode()
    sync = bytes(16)
    head = MAGIC + _long(1) + _long(11) + b"avro.schema" + _long(len(text)) + text + b"\0" + sync
    return head + _long(count) + _long(len(block)) + block + sync


def _long(value: int) -> bytes:
    rest, found = value << 1, bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*found, rest])


@pytest.mark.parametrize(
    "kind",
    [
        SELF,
        {"type": "array", "items": "null"},
        {"type": "array", "items": EMPTY},
        {"type": "map", "values": {"type": "fixed", "name": "F", "size": 0}},
    ],
    ids=["a record that holds itself", "nulls", "empty records", "no bytes"],
)
def test_schemas_that_a_few_bytes_could_abuse_are_refused(tmp_path: Path, kind: Any) -> None:
    fields = [{"name": "user_id", "type": "string"}, {"name": "x", "type": kind}]
    schema = {"type": "record", "name": "Row", "fields": fields}
    block = _long(1) + b"u" + _long(1_000_000_000_000)
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, container(schema, block, 1))
    assert raised.value.code == "damaged_file"
    assert "schema" in raised.value.message


def test_a_block_with_more_records_than_bytes_is_refused(tmp_path: Path) -> None:
    schema = {"type": "record", "name": "Row", "fields": [{"name": "user_id", "type": "null"}]}
    mapping = SourceMapping(
        constants={"item_id": "i", "interaction_type": "view", "timestamp": "1767225600000"}
    )
    with pytest.raises(FileRefusedError, match="more records than bytes"):
        take(tmp_path, container(schema, b"", 10**12), mapping)


def test_a_number_of_32_bits_is_the_shortest_that_it_stands_for(tmp_path: Path) -> None:
    single = avro(FIELDS | {"rating": ["null", "float"]}, [GOOD | {"rating": 0.1}])
    (stored,) = take(tmp_path, single).stored
    assert stored["rating"] == 0.1


def test_bytes_that_are_no_text_make_a_wrong_row(tmp_path: Path) -> None:
    rows = [GOOD | {"user_id": user} for user in (b"u\xff", b"u1")]
    taken = take(tmp_path, avro(FIELDS | {"user_id": "bytes"}, rows))
    assert taken.errors == [("record 1", "user_id", "not_utf8")]
    assert [row["user_id"] for row in taken.stored] == ["u1"]


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (
            {"type": "record", "name": "R", "fields": [{"name": "f", "type": "float"}]},
            {"f": 0.1},
            0.1,
        ),
        (["null", {"type": "map", "values": "float"}], {"f": 0.1}, 0.1),
        # which kind it was is not known any more: what only widening explains was of 32 bits
        (["float", "double"], 0.1000000001, 0.1000000001),
        (["float", "double"], ("float", 0.1), 0.1),
        (["float", "double"], ("double", 1048576.25), 1048576.25),
        (["null", "float", "double"], 0.5, 0.5),
        (
            [
                {"type": "map", "values": "float"},
                {"type": "record", "name": "R", "fields": [{"name": "f", "type": "double"}]},
            ],
            ("R", {"f": 0.1000000001}),
            0.1000000001,
        ),
        (
            [
                {"type": "record", "name": "Q", "fields": [{"name": "f", "type": "float"}]},
                {"type": "record", "name": "R", "fields": [{"name": "g", "type": "double"}]},
            ],
            ("Q", {"f": 0.1}),
            0.1,
        ),
        (
            [{"type": "array", "items": "float"}, {"type": "map", "values": "double"}],
            {"f": 0.1},
            0.1,
        ),
    ],
)
def test_numbers_of_32_bits_are_so_at_any_depth(
    tmp_path: Path, kind: Any, value: Any, read: float
) -> None:
    body = avro(FIELDS | {"what": kind}, [GOOD | {"what": value}])
    number = value[1] if isinstance(value, tuple) else value
    path = "what" if isinstance(number, float) else "what.f"
    (stored,) = take(tmp_path, body, SourceMapping(columns={"rating": path})).stored
    assert stored["rating"] == read


def test_numbers_of_32_bits_within_a_record_that_holds_itself(tmp_path: Path) -> None:
    node = {
        "type": "record",
        "name": "Node",
        "fields": [
            {"name": "f", "type": "float"},
            {"name": "next", "type": ["null", "Node"], "default": None},
        ],
    }
    value = {"f": 0.1, "next": {"f": 0.2, "next": {"f": 0.3, "next": None}}}
    body = avro(FIELDS | {"what": node}, [GOOD | {"what": value}])
    mapping = SourceMapping(columns={"rating": "what.next.next.f"})
    (stored,) = take(tmp_path, body, mapping).stored
    assert stored["rating"] == 0.3


ITEM = {"item_id": "string", "attributes": {"type": "map", "values": ["float", "bytes", "boolean"]}}


def test_what_json_does_not_have_makes_a_wrong_row_within_attributes(tmp_path: Path) -> None:
    values = [nan, inf, b"\xff", 0.1, True, b"red"]
    rows = [{"item_id": f"i{n}", "attributes": {"x": value}} for n, value in enumerate(values)]
    taken = take(tmp_path, avro(ITEM, rows), data_type=DataType.ITEMS)
    assert taken.errors == [(f"record {n}", "attributes", "bad_json") for n in (1, 2, 3)]
    stored = [json.loads(row["attributes"]) for row in taken.stored]
    assert stored == [{"x": 0.1}, {"x": True}, {"x": "red"}]
