"""What the tables are made of, as it stands in their logs."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from ingest_service.pipeline.counts import Counts
from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import RAW_INTERACTIONS, SERVICE_TABLES, TableSpec
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.staging import batch_of
from lakehouse.storage.tables import ensure_tables
from tests.contract.test_sinks import interactions, key

SECRET = "user-who-must-not-be-in-the-log"


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    """A lake with all tables, empty."""
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    return settings


def log_lines(lake: LakeSettings, spec: TableSpec) -> list[dict[str, dict[str, object]]]:
    """All actions of a table's log."""
    log = Path(Lake(lake).location(spec)) / "_delta_log"
    files = sorted(log.glob("*.json"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_tables_have_the_schema_partitions_and_properties(lake: LakeSettings) -> None:
    for spec in SERVICE_TABLES:
        table = Lake(lake).table(spec)
        metadata = table.metadata()
        assert pa.schema(table.schema()).names == spec.schema.names
        assert metadata.partition_columns == list(spec.partition_by)
        assert metadata.configuration["delta.enableDeletionVectors"] == "false"
        kept = metadata.configuration["delta.setTransactionRetentionDuration"]
        assert kept == metadata.configuration["delta.logRetentionDuration"] == "interval 30 days"
        stats = metadata.configuration["delta.dataSkippingStatsColumns"]
        assert stats == ",".join(spec.stats_columns)
        has_changes = metadata.configuration.get("delta.enableChangeDataFeed") == "true"
        assert has_changes == spec.has_change_feed


def test_creating_again_changes_nothing(lake: LakeSettings) -> None:
    ensure_tables(Lake(lake))
    assert [Lake(lake).table(spec).version() for spec in SERVICE_TABLES] == [0] * len(
        SERVICE_TABLES
    )


def test_several_at_once_create_each_table_once(tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ensure_tables(Lake(settings)), range(16)))
    assert [Lake(settings).table(spec).version() for spec in SERVICE_TABLES] == [0] * len(
        SERVICE_TABLES
    )


@pytest.mark.parametrize("writer", ["sink", "delta-rs"])
def test_no_value_of_an_identifier_enters_the_log(lake: LakeSettings, writer: str) -> None:
    if writer == "sink":
        batch = DeltaSink(Lake(lake)).begin(key())
        batch.append(interactions(key(), SECRET))
        batch.commit(Counts(1, 1))
    else:
        row = interactions(key(), SECRET).to_pylist()[0]
        day = datetime(2026, 5, 1, tzinfo=UTC).date()
        rows = [row | {"tenant_id": "acme", "ingest_date": day}]
        table = pa.Table.from_pylist(rows, schema=RAW_INTERACTIONS.schema)
        write_deltalake(Lake(lake).table(RAW_INTERACTIONS), table, mode="append")

    adds = [line["add"] for line in log_lines(lake, RAW_INTERACTIONS) if "add" in line]
    (stats,) = [json.loads(str(add["stats"])) for add in adds]
    assert set(stats["minValues"]) == {"event_time", "known_at"}
    assert stats["numRecords"] == 1
    log = Path(Lake(lake).location(RAW_INTERACTIONS)) / "_delta_log"
    assert all(SECRET.encode() not in file.read_bytes() for file in log.iterdir())


def test_bounds_in_the_log_hold_although_it_has_milliseconds_only(lake: LakeSettings) -> None:
    batch = DeltaSink(Lake(lake)).begin(key())
    batch.append(interactions(key(), "u"))
    batch.commit(Counts(1, 1))

    (add,) = [line["add"] for line in log_lines(lake, RAW_INTERACTIONS) if "add" in line]
    stats = json.loads(str(add["stats"]))
    known_at = datetime(2026, 5, 1, 12, 0, 0, 5, tzinfo=UTC)
    assert datetime.fromisoformat(stats["minValues"]["known_at"]) <= known_at
    assert datetime.fromisoformat(stats["maxValues"]["known_at"]) >= known_at


def test_appended_rows_are_in_the_change_feed(lake: LakeSettings) -> None:
    batch = DeltaSink(Lake(lake)).begin(key())
    batch.append(interactions(key(), "u1", "u2"))
    batch.commit(Counts(2, 2))

    changes = pa.table(Lake(lake).table(RAW_INTERACTIONS).load_cdf(starting_version=1).read_all())
    assert changes.column("_change_type").to_pylist() == ["insert", "insert"]


def test_data_files_name_their_batch(lake: LakeSettings) -> None:
    batch = DeltaSink(Lake(lake)).begin(key("20260501T120000-ab12"))
    batch.append(interactions(key(), "u1"))
    batch.commit(Counts(1, 1))

    (uri,) = Lake(lake).table(RAW_INTERACTIONS).file_uris()
    assert batch_of(uri) == "20260501T120000-ab12"
    assert batch_of("tenant_id=a/part-00000-676e6b4d-cbc7-c000.snappy.parquet") is None
