"""A content hash that only the rows decide, and snapshots published from what dbt built."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from openlineage.client.serde import Serde

from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.runs import ModelRun
from lakehouse.lineage.events import run_events
from lakehouse.lineage.facts import Names, Run
from lakehouse.storage.lake import Lake
from lakehouse.training.content_hash import ContentHash
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.lake_state import SOURCES, table_versions
from lakehouse.training.lineage.model_runs import ended_runs
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import list_snapshots, publish
from tests.support.feast_store import KEYS, joined_by_feast
from tests.support.lake import SessionLake, partitioned
from tests.support.lineage import check_event
from tests.support.readers import why_not

TENANT = "hashed"
WHY_NO_FEAST = why_not("feast")
TRAINING_MODELS = (
    "stg_tenant_settings",
    "item_availability",
    "training_data",
    "training_users",
    "training_contents",
    "training_examples",
)


@pytest.fixture(scope="module")
def first(lake: SessionLake, built: dict) -> Manifest:
    lake.dbt("run")  # other tests leave tables of different runs, and these are not published
    return now_published(lake)


def now_published(lake: SessionLake) -> Manifest:
    return publish(lake.settings, TENANT, gate=None, now=datetime.now(UTC))


def content_hash(lake: SessionLake) -> str:
    (row,) = lake.table("training.training_contents", TENANT).to_dicts()
    return str(row["content_hash"])


def run(lake: SessionLake, *arguments: str, models: Sequence[str] = TRAINING_MODELS) -> None:
    lake.dbt("run", *arguments, "--select", *models)


def test_the_hash_of_spark_is_the_hash_of_the_rows(lake: SessionLake, first: Manifest) -> None:
    rows = lake.table("training.training_data", TENANT).with_columns(tenant_id=pl.lit(TENANT))
    counted = ContentHash()
    counted.update(rows.sample(fraction=1, shuffle=True, seed=1))
    assert counted.hexdigest() == first.content_hash
    assert rows.height == first.counts.rows > 0
    kinds = dict(rows.group_by("negative_type").len().iter_rows())
    assert kinds == {
        None: first.counts.positives,
        "sampled": first.counts.sampled_negatives,
        "explicit": first.counts.explicit_negatives,
    }


def test_a_manifest_holds_what_the_models_recorded(lake: SessionLake, first: Manifest) -> None:
    assert set(first.source_versions) == {
        *("raw.interactions", "raw.items", "raw.users", "raw.clickstream"),
        *("ops.tenant_settings", "ops.shared_devices"),
    }
    known = lake.table("staging.stg_interactions", TENANT)["known_at"].max()
    assert first.newest_known_at == known
    assert first.parameters.seed == 42
    assert first.parameters.cutoff is None
    assert first.parameters.positive_types == ("click", "like", "purchase")
    assert first.counts.shortfall > 0


def test_an_export_of_what_dbt_built_counts_as_its_manifest(
    lake: SessionLake, first: Manifest, tmp_path: Path
) -> None:
    export_snapshot(Lake(lake.settings), first, ExportFormat.PARQUET, tmp_path / "out")
    files = f"read_parquet('{tmp_path}/out/training_data/*/*/*.parquet')"
    assert duckdb.sql(f"select count(*) from {files}").fetchall() == [(first.counts.rows,)]


def test_what_the_models_have_read_is_told_from_their_tables(
    lake: SessionLake, first: Manifest
) -> None:
    """To OpenLineage, without asking dbt: from each table back to raw."""
    made, now = Lake(lake.settings), datetime.now(UTC)
    run = ModelRun("a run", "succeeded", now, now, {}, {})
    told = [*ended_runs(Names(made, "eta"), made, run, [])]
    for one in told:
        for event in run_events(one):
            check_event(Serde.to_dict(event))
    by_table = {one.outputs[0].name: one for one in told[:-1]}
    versions = table_versions(made)
    assert set(by_table) == versions.keys() - set(SOURCES)
    for table, one in by_table.items():
        assert one.outputs[0].version == str(versions[table])
        for parent in one.inputs:
            assert int(parent.version or -1) <= versions[parent.name]
    reached = reached_from({"training.training_data"}, by_table)
    sources = {"raw.interactions", "raw.items", "raw.users", "raw.clickstream"}
    assert sources <= reached, reached


def reached_from(tables: set[str], runs: dict[str, Run]) -> set[str]:
    found = {parent.name for name in tables if name in runs for parent in runs[name].inputs}
    return tables | reached_from(found, runs) if found else tables


@pytest.mark.skipif(WHY_NO_FEAST is not None, reason=WHY_NO_FEAST or "")
def test_feast_joins_the_histories_as_the_models_did(
    lake: SessionLake, first: Manifest, tmp_path: Path
) -> None:
    export_snapshot(Lake(lake.settings), first, ExportFormat.FEAST, tmp_path / "out")
    found = joined_by_feast(tmp_path / "out")
    wanted = lake.table("training.training_examples", TENANT).sort(KEYS)
    assert found.height == wanted.height == first.row_count
    features = [name for name in wanted.columns if name.startswith(("user_", "item_"))]
    joined = [name for name in features if name in found.columns]
    assert len(joined) > 20
    same = found.select(pl.col(name).cast(wanted.schema[name]) for name in joined)
    assert same.fill_nan(None).equals(wanted.select(joined))


def test_shuffle_partitions_do_not_change_the_content(lake: SessionLake, first: Manifest) -> None:
    """Narrowed to the tenant, a run recomputes it whole and merges whatever came out differently.

    That a full refresh gives the same hash is told by test_incremental.
    """
    with partitioned(7):
        run(lake, "--vars", json.dumps({"tenant_id": TENANT}))
    assert content_hash(lake) == first.content_hash
    assert now_published(lake) == first


def test_another_seed_is_other_content_of_the_same_size(lake: SessionLake, first: Manifest) -> None:
    lake.set_tenant(TENANT, TenantSettings(seed=43))
    run(lake)
    second = now_published(lake)
    assert second.parameters.seed == 43
    assert second.content_hash != first.content_hash
    assert second.counts == first.counts
    assert [found.snapshot_id for found in list_snapshots(Lake(lake.settings), TENANT)] == [
        first.snapshot_id,
        second.snapshot_id,
    ]
