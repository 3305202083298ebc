"""What is told of rows that came in: counts and versions, and nothing that a tenant has sent."""

from pathlib import Path

import pytest

from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.kafka.sink import StreamSink
from lakehouse.contracts.kinds import DataType, OnError
from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.lineage.batches import BatchRuns, StoredBatch, tell_batches, tell_messages
from lakehouse.lineage.delivery import lineage_of
from lakehouse.lineage.facts import Names
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.ingesting import ingest, service
from tests.support.lake import NOON
from tests.support.lineage import ends, events_of
from tests.unit.ingest_service.test_stream_sink import Process

QUARANTINE = OnError.QUARANTINE
ROWS = """user_id,item_id,interaction_type,timestamp
u-4711,item-secret,click,1772366400000
u-4711,item-secret,no such type,1772366400000
u-4712,item-secret,view,1772366400000
"""


@pytest.fixture
def told(tmp_path: Path) -> LakeSettings:
    path = tmp_path / "events.jsonl"
    settings = LakeSettings(home=tmp_path / "home", openlineage_url=path.as_uri())
    ensure_tables(Lake(settings))
    return settings


def test_a_file_is_told_with_counts_version_and_columns(told: LakeSettings, tmp_path: Path) -> None:
    lake = Lake(told)
    with lineage_of(told) as lineage:
        sink = DeltaSink(lake, tell_batches(lineage, lake))
        ingest(service(sink), tmp_path, ROWS, "b1", QUARANTINE, mapping_name="anna")
        ingest(service(sink), tmp_path, ROWS, "b2", QUARANTINE)  # all of it is there
        sink.close()
    text = (tmp_path / "events.jsonl").read_text()
    for secret in ("u-47", "item-secret", "no such type", "anna", "rows.csv"):
        assert secret not in text
    first, second = ends(events_of(tmp_path / "events.jsonl"))
    assert first["job"] == {**first["job"], "namespace": "eta/acme"}
    assert first["job"]["name"] == "ingest.file.interactions"
    [came] = first["inputs"]
    assert (came["namespace"], came["name"]) == ("eta/acme", "file.interactions")
    assert came["inputFacets"]["inputStatistics"]["rowCount"] == 3
    raw, quarantine = first["outputs"]
    assert (raw["namespace"], raw["name"]) == ("eta", "raw.interactions")
    subset = raw["outputFacets"]["subset"]["outputCondition"]
    assert subset["partitions"] == [{"dimensions": {"tenant_id": "acme"}}]
    statistics = raw["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["fileCount"]) == (2, 1)
    version = int(raw["facets"]["version"]["datasetVersion"])
    held = lake.table(RAW_INTERACTIONS, version)
    assert held.to_pyarrow_table().num_rows == 2
    assert lake.table(RAW_INTERACTIONS, version - 1).to_pyarrow_table().num_rows == 0
    assert sum(held.get_add_actions()["size_bytes"].to_pylist()) == statistics["size"]
    columns = {one["name"] for one in raw["facets"]["schema"]["fields"]}
    assert {"user_id", "item_id", "event_time", "batch_id"} <= columns
    assert raw["facets"]["dataSource"]["uri"] == Path(lake.location(RAW_INTERACTIONS)).as_uri()
    [place] = raw["facets"]["symlinks"]["identifiers"]
    assert place == {
        "namespace": "file", "name": lake.location(RAW_INTERACTIONS), "type": "LOCATION"
    }  # fmt: skip
    assert quarantine["name"] == "raw.quarantine"
    assert quarantine["outputFacets"]["outputStatistics"]["rowCount"] == 1
    assert {tag["key"]: tag["value"] for tag in first["run"]["facets"]["tags"]["tags"]} == {
        "batch_id": "b1", "source": "csv"
    }  # fmt: skip
    assert second["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 0


def test_a_refused_file_is_not_told(told: LakeSettings, tmp_path: Path) -> None:
    lake = Lake(told)
    with lineage_of(told) as lineage:
        sink = DeltaSink(lake, tell_batches(lineage, lake))
        assert not ingest(service(sink), tmp_path, ROWS, "b1", OnError.REJECT).is_stored
        sink.close()
    assert not (tmp_path / "events.jsonl").exists()


def test_messages_are_told_with_their_offsets_and_no_tenant(
    told: LakeSettings, tmp_path: Path
) -> None:
    lake = Lake(told)
    with lineage_of(told) as lineage:
        process = Process(told)
        heard = tell_messages(lineage, lake, lambda: "kafka-1:9092,kafka-2:9092")
        process.sink = StreamSink(DeltaSink(lake), heard)
        process.take_over(0, 1)
        process.run(4, 0, 1)
    [event] = ends(events_of(tmp_path / "events.jsonl"))
    assert (event["job"]["namespace"], event["job"]["name"]) == ("eta", "ingest.topic.interactions")
    [topic] = event["inputs"]
    assert (topic["namespace"], topic["name"]) == ("kafka://kafka-1:9092", "interactions-raw")
    parts = topic["inputFacets"]["subset"]["inputCondition"]["partitions"]
    assert sorted((part["dimensions"] for part in parts), key=lambda one: one["partition"]) == [
        {"partition": number, "first_offset": 0, "after_offset": 4} for number in (0, 1)
    ]
    assert topic["inputFacets"]["inputStatistics"]["rowCount"] == 8
    [raw] = event["outputs"]
    version = int(raw["facets"]["version"]["datasetVersion"])
    rows = lake.table(RAW_INTERACTIONS, version).to_pyarrow_table().num_rows
    assert raw["outputFacets"]["outputStatistics"]["rowCount"] == rows > 0
    text = (tmp_path / "events.jsonl").read_text()
    assert "acme" not in text
    assert '"other"' not in text


def test_two_tenants_never_share_an_event(told: LakeSettings, tmp_path: Path) -> None:
    lake = Lake(told)
    with lineage_of(told) as lineage:
        sink = DeltaSink(lake, tell_batches(lineage, lake))
        for tenant_id in ("acme", "nordwind"):
            ingest(service(sink), tmp_path, ROWS, f"b-{tenant_id}", QUARANTINE, tenant_id=tenant_id)
        sink.close()
    for event in events_of(tmp_path / "events.jsonl"):
        own = event["job"]["namespace"].rpartition("/")[2]
        other = {"acme": "nordwind", "nordwind": "acme"}[own]
        assert other not in str(event)
    kinds = {event["job"]["name"] for event in events_of(tmp_path / "events.jsonl")}
    assert kinds == {f"ingest.file.{DataType.INTERACTIONS.value}"}


def test_a_replay_reads_the_quarantine(told: LakeSettings) -> None:
    lake = Lake(told)
    runs = BatchRuns(Names(lake, "eta"), lake)
    replay = StoredBatch("acme", DataType.ITEMS, "b1", 2, "csv", NOON, 0, 3, -4, 7, 900, 1)
    run = runs.of_batch(replay, NOON)
    assert (run.job.namespace, run.job.name) == ("eta/acme", "ingest.replay.items")
    [came], [raw] = run.inputs, run.outputs
    assert (came.namespace, came.name, came.tenant_id, came.rows) == (
        "eta", "raw.quarantine", "acme", 4
    )  # fmt: skip
    assert (raw.name, raw.version, raw.rows) == ("raw.items", "7", 3)
    again = StoredBatch("acme", DataType.ITEMS, "b1", 3, "csv", NOON, 0, 3, -4, 7, 900, 1)
    assert runs.of_batch(again, NOON).job.run_id != run.job.run_id
    assert runs.of_batch(replay, NOON).job.run_id == run.job.run_id
