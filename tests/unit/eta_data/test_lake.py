"""A snapshot read from the lake's tables: the pinned version, the tenant's rows, nothing else."""

import json
import shutil
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from eta_data import DamagedError, DataError, TrainingSet
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import publish
from tests.support.deletion_vectors import hide_rows
from tests.support.lake import NOON
from tests.support.training import TRAINING_DATA, examples, write_training_tables

BY = ["user_id", "anchor_item_id", "draw_index", "item_id", "event_time"]


@pytest.fixture
def settings(tmp_path: Path) -> LakeSettings:
    return LakeSettings(home=tmp_path / "home", project_dir=tmp_path)


def published(settings: LakeSettings, count: int = 60) -> Manifest:
    write_training_tables(settings, {"acme": examples(count), "globex": examples(7, seed=5)})
    return publish(settings, "acme", gate=None, now=NOON + timedelta(seconds=count))


def read(data: TrainingSet) -> pl.DataFrame:
    batches = list(data.arrow(50, remainder="keep"))
    return pl.DataFrame(pa.Table.from_batches(batches)).sort(BY)


def test_the_pinned_version_is_read_not_the_newest(settings: LakeSettings) -> None:
    first = published(settings)
    published(settings, 61)
    data = TrainingSet.open(settings.lake, "acme", first.snapshot_id)
    assert len(data) == first.counts.rows
    names = [field.name for field in TRAINING_DATA]
    expected = pl.DataFrame([{"tenant_id": "acme", **row} for row in examples(60)])
    found = read(data).select(names)
    assert set(found["tenant_id"]) == {"acme"}
    assert found.select(*BY, "label").rows() == expected.sort(BY).select(*BY, "label").rows()
    assert len(TrainingSet.open(settings.lake, "acme")) > len(data)


def test_an_export_and_the_lake_have_the_same_rows(settings: LakeSettings, tmp_path: Path) -> None:
    manifest = published(settings)
    export_snapshot(Lake(settings), manifest, ExportFormat.PARQUET, tmp_path / "out")
    data = TrainingSet.open(tmp_path / "out", "acme", manifest.snapshot_id, verify=True)
    from_lake = read(TrainingSet.open(settings.lake, "acme"))
    assert read(data).select(from_lake.columns).equals(from_lake)
    with pytest.raises(DataError, match="is not in order of event_time"):
        TrainingSet.open(settings.lake, "acme").arrow(5, group=True)
    grouped = data.arrow(5, group=True, remainder="keep")
    assert sum(batch.num_rows for batch in grouped) == manifest.counts.rows


def test_rows_that_a_deletion_vector_hides_are_not_read(settings: LakeSettings) -> None:
    manifest = published(settings)
    location = Path(f"{settings.lake}/training/training_data")
    hidden = hide_rows(location, 5)
    version = DeltaTable(location).version()
    path = Path(f"{settings.lake}/training_sets/acme/{manifest.snapshot_id}.json")
    document = json.loads(path.read_text())
    document["pinned"]["training.training_data"]["version"] = version
    path.write_text(json.dumps(document))
    with pytest.raises(DamagedError, match="manifest says"):
        TrainingSet.open(settings.lake, "acme")
    assert hidden == 10, "of both tenants"
    document["counts"]["sampled_negatives"] -= 5
    path.write_text(json.dumps(document))
    data = TrainingSet.open(settings.lake, "acme")
    assert len(data) == manifest.counts.rows - 5
    everything = pl.DataFrame([{"tenant_id": "acme", **row} for row in examples(60)])
    found = set(read(data).select(BY).rows())
    gone = set(everything.select(BY).rows()) - found
    assert gone == set(everything.select(BY).head(5).rows())


def test_a_table_that_was_made_again_is_refused(settings: LakeSettings) -> None:
    manifest = published(settings)
    shutil.rmtree(f"{settings.lake}/training/training_data")
    with pytest.raises(DataError, match="has no version"):
        TrainingSet.open(settings.lake, "acme")
    rows = pa.Table.from_pylist(
        [{"tenant_id": "acme", **row} for row in examples(50)], TRAINING_DATA
    )
    for _ in range(manifest.pinned["training.training_data"].version + 1):
        write_deltalake(
            f"{settings.lake}/training/training_data", rows, mode="overwrite",
            partition_by=["tenant_id"],
        )  # fmt: skip
    with pytest.raises(DamagedError, match="the snapshot's manifest says"):
        TrainingSet.open(settings.lake, "acme")


def examples_made(settings: LakeSettings, read_version: int, at: int) -> None:
    rows = pa.Table.from_pylist(
        [{"tenant_id": "acme", **row, "user_count": 3} for row in examples(60)],
        TRAINING_DATA.append(pa.field("user_count", pa.int64())),
    )
    location = f"{settings.lake}/training/training_examples"
    write_deltalake(location, rows, mode="overwrite", partition_by=["tenant_id"])
    table = DeltaTable(location)
    read_of = {"eta.read.training.training_data": f"{read_version}@{at}"}
    table.alter.set_table_properties(read_of, raise_if_not_exists=False)


def test_examples_are_those_made_from_the_pinned_training_data(settings: LakeSettings) -> None:
    manifest = published(settings)
    version = manifest.pinned["training.training_data"].version
    table = DeltaTable(f"{settings.lake}/training/training_data", version=version)
    at = table.history(1)[0]["timestamp"]
    examples_made(settings, version, at)
    examples_made(settings, version + 1, at + 1)
    name = "training.training_examples"
    data = TrainingSet.open(settings.lake, "acme", table=name)
    assert "user_count" in data.schema.names
    assert len(data) == manifest.counts.rows
    shutil.rmtree(f"{settings.lake}/training/training_examples")
    examples_made(settings, version, at + 1)
    with pytest.raises(DataError, match=f"no version of {name} was made from"):
        TrainingSet.open(settings.lake, "acme", table=name)


def test_new_negatives_come_from_the_pinned_catalogue(settings: LakeSettings) -> None:
    published(settings)
    data = TrainingSet.open(settings.lake, "acme")
    met = {(row["user_id"], row["item_id"]) for row in examples(60) if row["draw_index"] == 0}
    items = {row["item_id"] for row in examples(60)}
    drawn = 0
    for batch in data.arrow(10, negatives=data.sampler(4), remainder="keep"):
        for row in batch.to_pylist():
            drawn += len(row["negative_item_id"])
            assert set(row["negative_item_id"]) <= items
            assert not {(row["user_id"], item) for item in row["negative_item_id"]} & met
    assert drawn > 100


def test_what_is_not_there_is_named(settings: LakeSettings) -> None:
    published(settings)
    with pytest.raises(DataError, match="no lake with a snapshot of initech"):
        TrainingSet.open(settings.lake, "initech")
    with pytest.raises(DataError, match="has no snapshot"):
        TrainingSet.open(settings.lake, "acme", "20260501T120000000Z-00000000")
    with pytest.raises(DataError, match=r"pins no version of raw\.interactions"):
        TrainingSet.open(settings.lake, "acme", table="raw.interactions")
    with pytest.raises(DataError, match="no lake with a snapshot of acme"):
        TrainingSet.open(settings.lake, "acme", split="test")


def test_without_deltalake_the_extra_is_named(
    settings: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(settings)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(DataError, match="needs the package deltalake") as caught:
        TrainingSet.open(settings.lake, "acme")
    assert "eta-data[lake]" in caught.value.remedy
