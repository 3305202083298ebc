"""A snapshot read from the lake's tables: the pinned version, the tenant's rows, nothing else."""

import json
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from eta_data import DamagedError, DataError, TrainingSet
from lakehouse.contracts.tenant import EvaluationSettings
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.evaluation import make_evaluations
from lakehouse.training.export.delta import plan_delta, write_delta
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import publish
from tests.support.deletion_vectors import hide_rows
from tests.support.evaluation import evaluated, write_evaluation_tables
from tests.support.lake import NOON
from tests.support.training import PARAMETERS, TRAINING_DATA, examples, write_training_tables

SPLITS = ("train", "validation", "test")
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


@pytest.mark.parametrize("kind", [ExportFormat.PARQUET, ExportFormat.HUGGING_FACE])
def test_an_export_with_features_and_histories_is_read(
    settings: LakeSettings, tmp_path: Path, kind: ExportFormat
) -> None:
    manifest = published(settings)
    to = tmp_path / "out"
    export_snapshot(Lake(settings), manifest, kind, to, features=["all"], history=2)
    data = TrainingSet.open(to, "acme", verify=True)
    whole = pl.DataFrame(pa.Table.from_batches(list(data.arrow(50, remainder="keep"))))
    held = TrainingSet.open(settings.lake, "acme", table="training.training_examples")
    assert whole.sort(BY).select(*BY, "label").equals(read(held).select(*BY, "label"))
    assert whole["item_texts"][0][0]["key"] == "brand"
    columns = ["label", "item_popularity", "history_item_ids", "history_event_times"]
    how: Any = {"lengths": {"history_item_ids": 3}, "group": True, "remainder": "keep"}
    labels = 0.0
    for batch in data.numpy(50, columns=columns, **how):
        assert set(batch["history_item_ids_length"]) == {2}
        assert batch["history_item_ids"].tolist() == [["h1", "h2", None]] * len(batch["label"])
        assert batch["history_event_times"].dtype == np.dtype("datetime64[us]")
        labels += batch["label"].sum()
    assert labels == manifest.counts.positives


def test_the_splits_of_an_evaluation_snapshot_are_read_in_either_layout(
    settings: LakeSettings, tmp_path: Path
) -> None:
    write_evaluation_tables(settings, {"acme": evaluated(200), "globex": evaluated(9, seed=5)})
    (manifest,) = make_evaluations(
        settings, {"acme": EvaluationSettings()}, lambda _: None, lambda: NOON
    )
    found = []
    for kind in (ExportFormat.PARQUET, ExportFormat.HUGGING_FACE):
        export_snapshot(Lake(settings), manifest, kind, tmp_path / kind)
        splits = [TrainingSet.open(tmp_path / kind, "acme", split=s) for s in SPLITS]
        found.append([sorted(read(data).select(*BY, "label").rows()) for data in splits])
    assert found[0] == found[1]
    held_out = manifest.held_out
    assert [len(rows) for rows in found[0]] == [
        manifest.counts.rows, held_out.validation, held_out.test
    ]  # fmt: skip


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
    with pytest.raises(DamagedError, match="training_data was dropped and built again"):
        TrainingSet.open(settings.lake, "acme")


def test_examples_are_those_that_the_snapshot_pins(settings: LakeSettings) -> None:
    manifest = published(settings)
    published(settings, 61)
    name = "training.training_examples"
    data = TrainingSet.open(settings.lake, "acme", manifest.snapshot_id, table=name)
    assert "item_popularity" in data.schema.names
    assert len(data) == manifest.counts.rows
    path = Path(f"{settings.lake}/training_sets/acme/{manifest.snapshot_id}.json")
    document = json.loads(path.read_text())
    del document["pinned"][name]
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=f"pins no version of {name}"):
        TrainingSet.open(settings.lake, "acme", manifest.snapshot_id, table=name)


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
    for table in (
        "raw.interactions",
        "staging.stg_items",
        "training.item_availability",
        "training.user_histories",
        "evaluation.evaluation_data",
        "",
    ):
        with pytest.raises(DataError, match=f"{table} does not hold the rows of snapshot"):
            TrainingSet.open(settings.lake, "acme", table=table)
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


def with_shown(count: int) -> list[dict[str, Any]]:
    """Positives with their negatives; one more for each, which its user was shown."""
    rows = examples(count)
    drawn = [row for row in rows if row["draw_index"] == 1]
    kind = {"negative_type": "shown", "draw_index": 5}
    shown = [
        {**row, **kind, "item_id": f"s{place}", "shown_position": place}
        for place, row in enumerate(drawn)
    ]
    return rows + shown


def test_negatives_that_were_shown_are_read_and_grouped(
    settings: LakeSettings, tmp_path: Path
) -> None:
    parameters = {**PARAMETERS, "shown_per_positive": 1}
    write_training_tables(settings, {"acme": with_shown(30)}, parameters=parameters)
    manifest = publish(settings, "acme", gate=None, now=NOON)
    export_snapshot(Lake(settings), manifest, ExportFormat.PARQUET, tmp_path / "out")
    assert len(TrainingSet.open(settings.lake, "acme")) == 30 * 6 + 3
    data = TrainingSet.open(tmp_path / "out", "acme")
    assert len(data) == manifest.counts.rows
    groups: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for number, batch in enumerate(data.arrow(7, group=True, remainder="keep")):
        for row in batch.to_pylist():
            groups.setdefault((number, row["group_number"]), []).append(row)
    assert len(groups) == 30 + 3
    for first, *others in groups.values():
        kinds = ["sampled"] * 4 + ["shown"] if first["label"] == 1.0 else []
        assert [row["negative_type"] for row in others] == kinds
        assert {row["anchor_item_id"] for row in others} <= {first["item_id"]}
        assert [row["shown_position"] is not None for row in others] == [
            kind == "shown" for kind in kinds
        ]


@pytest.mark.parametrize("name", ["a b", "ü", "50%", "p%20c"])
def test_a_path_may_have_any_characters(settings: LakeSettings, tmp_path: Path, name: str) -> None:
    """Paths of Delta's log are URL-encoded, and so is a table's address; its folder is not."""
    manifest = published(settings)
    export_snapshot(Lake(settings), manifest, ExportFormat.PARQUET, tmp_path / name / "out")
    exported = TrainingSet.open(tmp_path / name / "out", "acme", verify=True)
    assert len(list(exported.arrow(50, remainder="keep"))) == len(exported) // 50 + 1
    lake = Path(shutil.move(settings.lake, tmp_path / name / "lake"))
    if name == "p%20c":
        with pytest.raises(DataError, match="deltalake takes %20 in a path for another character"):
            TrainingSet.open(lake, "acme")
        return
    assert read(TrainingSet.open(lake, "acme")).height == manifest.counts.rows
    location = lake / "training/training_data"
    hide_rows(location, 5)
    path = lake / f"training_sets/acme/{manifest.snapshot_id}.json"
    document = json.loads(path.read_text())
    document["pinned"]["training.training_data"]["version"] = DeltaTable(location).version()
    document["counts"]["sampled_negatives"] -= 5
    path.write_text(json.dumps(document))
    assert read(TrainingSet.open(lake, "acme")).height == manifest.counts.rows - 5


def test_a_delta_is_no_training_set(settings: LakeSettings, tmp_path: Path) -> None:
    first, second = published(settings), published(settings, 61)
    write_delta(plan_delta(Lake(settings), first, second), tmp_path / "delta")
    with pytest.raises(DataError, match="is a delta between two snapshots") as caught:
        TrainingSet.open(tmp_path / "delta", "acme")
    assert "eta export-apply" in caught.value.remedy
