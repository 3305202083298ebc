"""A data type is one module: one that nothing else names is stored, sent, erased and described."""

import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tables import RAW_TABLES, TIMESTAMP

DEVICES = """
from lakehouse.contracts.fields import (
    ContractField, DataTypeDefinition, Endpoint, FieldKind, TopicOptions
)

FIELDS = (
    ContractField("user_id", FieldKind.TEXT, "u", required=True),
    ContractField("country", FieldKind.LABEL, "c"),
    ContractField("notes", FieldKind.JSON_OBJECT, "n"),
    ContractField("changed_at", FieldKind.TIMESTAMP, "t"),
)
DEFINITION = DataTypeDefinition(
    rank=5, fields=FIELDS, record="Device", about="A device of a user.",
    topic=TopicOptions("devices", partitions=3),
    endpoint=Endpoint("devices", "Send devices", "Answered as events are.", {"user_id": "u1"}),
    objective_hours=24.0, time_column="changed_at", subjects=("user_id",), free_texts=("notes",),
    state_of="user_id",
)
"""

PROGRAM = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from lakehouse.contracts import data_types

folder = Path(sys.argv[1])
data_types.__path__.append(str(folder / "types"))

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tables import RAW_TABLES
from lakehouse.contracts.topics import message_key, topic_of
from lakehouse.control.erasure_subjects import Subject
from lakehouse.privacy.raw_tables import People, delete_rows

from tests.support.app import App
from tests.support.ingesting import ingest, service
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.kafka.positions import PartitionBatch
from ingest_service.sources.kafka.sink import Bounds
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.stream_offsets import Partition
from lakehouse.storage.tables import ensure_tables
from tests.unit.ingest_service.test_stream_sink import Process

devices = DataType("devices")
spec = RAW_TABLES[devices]
app = App(folder / "home")
ensure_tables(Lake(app.lake))

# a file: a state, the same again, another one, a wrong row
body = "user_id,country\\nu1,de\\nu1,de\\nu1,at\\n,fr\\n"
from lakehouse.contracts.tenant import OnError
report = ingest(service(DeltaSink(Lake(app.lake))), folder, body, data_type=devices,
                on_error=OnError.QUARANTINE)
counts = report.counts
assert (counts.stored, counts.duplicate, counts.quarantined) == (2, 1, 1), counts

# the Events API
async def send(client):
    answer = await client.post("/v1/devices", json={"user_id": "u2", "notes": {"a": 1}},
                               headers=app.headers("good"))
    assert answer.json()["stored"] == 1, answer.text
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert "/v1/devices" in paths
app.run(send)

# Kafka
assert topic_of(devices).name == "devices" and message_key(devices, "acme", "u3") == b"acme:u3"
process = Process(app.lake)
where = Partition("devices", 0)
(assignment,) = process.sink.take_over({where: (devices, Bounds(0, 100, 1))})
value = json.dumps({"user_id": "u3", "country": "fr"}).encode()
message = SimpleNamespace(key=b"acme:u3", value=value, offset=0, timestamp=0, headers=())
process.store(process.intake.prepare([PartitionBatch(assignment, [message], 1)]))

rows = app.rows(spec, "acme") + app.rows(spec, "good")
stored = [(row["user_id"], row["country"]) for row in rows]
assert sorted(stored) == [("u1", "at"), ("u1", "de"), ("u2", None), ("u3", "fr")], stored
assert check_ledger(Lake(app.lake)).wrong == ()

# erasure
subject = Subject("r1", "hash", None, "u1")
people = People.of("acme", [subject])
delete_rows(Lake(app.lake), people, datetime.now(UTC))
assert [row["user_id"] for row in app.rows(spec, "acme")] == ["u3"]

# mentions, retention, quality, overview
from lakehouse.privacy.derived import PERSONAL_RAW
from lakehouse.privacy.mentions import FREE_TEXTS
from lakehouse.quality.scoring import OBJECTIVE_HOURS
from lakehouse.retention.folders import EXPIRING
from lakehouse.storage.overview import OVERVIEW_TABLES
assert spec in PERSONAL_RAW and FREE_TEXTS[spec] == ("notes",)
assert spec not in EXPIRING and OBJECTIVE_HOURS[devices] == 24.0 and spec.path in OVERVIEW_TABLES
print("all of it")
app.close()
"""


def test_a_type_that_nothing_else_names_goes_every_way(tmp_path: Path) -> None:
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "devices.py").write_text(DEVICES)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "all of it\n"), done.stderr[-2_000:]


@pytest.mark.parametrize("kind", DataType)
def test_what_a_type_says_of_itself_fits_its_fields(kind: DataType) -> None:
    one = kind.definition
    columns = {field.column for field in one.fields}
    assert {*one.subjects, *one.free_texts, *one.carried, one.time_column} <= columns
    assert one.state_of is None or one.state_of in columns
    schema = RAW_TABLES[kind].schema
    assert schema.field(one.time_column).type == TIMESTAMP
    assert not schema.field(one.time_column).nullable
    assert len({field.tag for field in one.fields}) == len(one.fields)
