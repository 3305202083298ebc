"""Whatever schema and bytes a sender makes up, reading them ends soon, and the process goes on."""

import io
import subprocess
import sys
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.avro_bounds import UnboundedSchemaError, bounded_reader

LIST = {"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}
TREE = {
    "type": "record",
    "name": "N",
    "fields": [{"name": "below", "type": {"type": "array", "items": "N"}}],
}


def record(*kinds: Any) -> dict[str, Any]:
    fields = [{"name": f"f{number}", "type": kind} for number, kind in enumerate(kinds)]
    return {"type": "record", "name": "R", "fields": fields}


def doubled(times: int) -> Any:
    kind: Any = {"type": "record", "name": "D0", "fields": [{"name": "a", "type": "null"}]}
    for number in range(1, times):
        kind = record(kind, f"D{number - 1}") | {"name": f"D{number}"}
    return kind


def nested(times: int) -> Any:
    kind: Any = "int"
    for _ in range(times):
        kind = {"type": "array", "items": kind}
    return kind


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        pytest.param({"type": "array", "items": "null"}, "take no bytes", id="nulls"),
        pytest.param({"type": "array", "items": record()}, "take no bytes", id="empty records"),
        pytest.param(
            {"type": "map", "values": {"type": "fixed", "name": "F", "size": 0}},
            "take no bytes",
            id="no bytes",
        ),
        pytest.param(doubled(40), "take no bytes", id="a trillion nulls in forty records"),
        pytest.param(record("R"), "without an end", id="a record within itself"),
        pytest.param(nested(80), "too deep", id="eighty lists within each other"),
    ],
)
def test_schemas_that_a_few_bytes_could_abuse_are_refused(kind: Any, why: str) -> None:
    schema = fastavro.parse_schema(record(kind) | {"name": "Whole"})
    with pytest.raises(UnboundedSchemaError, match=why):
        bounded_reader(schema)


def test_a_message_that_holds_itself_a_million_times_ends_no_process() -> None:
    """In a process of its own: the reader in C ends it by SIGSEGV."""
    program = f"""
import fastavro, io
from lakehouse.contracts.avro_bounds import bounded_reader
for schema in ({LIST!r}, {TREE!r}):
    parsed = fastavro.parse_schema(schema)
    try:
        bounded_reader(parsed)(io.BytesIO(b"\\2" * 1_000_000), parsed, None)
    except RecursionError:
        print("refused")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "refused\n" * 2), done.stderr


def test_a_value_within_a_value_of_its_type_is_read() -> None:
    schema = fastavro.parse_schema(record(LIST, "double"))
    row = {"f0": {"next": {"next": None}}, "f1": 0.5}
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, row)
    stream.seek(0)
    assert bounded_reader(schema)(stream, schema, None) == row


PLAIN = st.sampled_from(["null", "int", "string", "boolean", "double", "bytes"])
KINDS = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.builds(lambda kind: {"type": "array", "items": kind}, inner),
        st.builds(lambda kind: {"type": "map", "values": kind}, inner),
        st.builds(lambda kind: ["null", {"type": "array", "items": kind}], inner),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.lists(KINDS, min_size=1, max_size=4), st.binary(max_size=300))
def test_whatever_is_accepted_is_read_or_refused_soon(kinds: list[Any], sent: bytes) -> None:
    schema = fastavro.parse_schema(record(*kinds))
    try:
        read = bounded_reader(schema)
    except UnboundedSchemaError:
        return
    try:
        found = read(io.BytesIO(sent), schema, None)
    except Exception:  # noqa: BLE001 - bytes that are no record fail in every way
        return
    assert _values(found) <= (len(sent) + 1) * 8 + len(kinds)


def _values(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_values, value.values()))
    return 1 + sum(map(_values, value)) if isinstance(value, list) else 1
