"""Evaluation snapshots are published and exported with their split; no Spark is needed."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from pydantic import ValidationError

from lakehouse.contracts.tenant import EvaluationSettings
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.evaluation import make_evaluations
from lakehouse.training.export.run import ExportFormat, default_destination, export_snapshot
from lakehouse.training.manifest import EvaluationManifest
from lakehouse.training.publish import pinned_versions, publish
from lakehouse.training.rows import sorted_rows
from lakehouse.training.snapshots import EVALUATION_SETS
from tests.support.evaluation import evaluated, write_evaluation_tables
from tests.support.lake import NOON
from tests.support.training import examples, write_training_tables
from tests.unit.training.test_export import recbole_frame

LATER = NOON + timedelta(hours=1)


def made(settings: LakeSettings, *tenants: str, now: Any = NOON) -> list[EvaluationManifest]:
    wanted = {name: EvaluationSettings() for name in tenants or ("acme",)}
    return make_evaluations(settings, wanted, lambda _: None, lambda: now)


def published(settings: LakeSettings, rows: list[dict[str, Any]], **how: Any) -> EvaluationManifest:
    write_evaluation_tables(settings, {"acme": rows, "globex": evaluated(9, seed=5)}, **how)
    return made(settings)[0]


def test_the_models_are_told_what_was_asked_for(settings: LakeSettings) -> None:
    write_evaluation_tables(settings, {"acme": evaluated(30), "globex": evaluated(9)})
    told = []
    wanted = {
        "acme": EvaluationSettings(train_until=NOON, minimum_user_positives=2),
        "globex": EvaluationSettings(method="leave_one_out"),
    }
    make_evaluations(settings, wanted, told.append, lambda: NOON, cutoff="2026-06-01", seed=7)
    ((variables,),) = [told]
    assert (variables["cutoff"], variables["seed"]) == ("2026-06-01", 7)
    assert variables["evaluation"]["acme"]["train_until"] == "2026-05-01T12:00:00Z"
    assert variables["evaluation"]["acme"]["minimum_user_positives"] == 2
    assert variables["evaluation"]["globex"]["method"] == "leave_one_out"


def test_a_snapshot_is_its_rows_and_its_split(settings: LakeSettings) -> None:
    rows = evaluated(40)
    first = published(settings, rows)
    assert first.row_count == len(rows)
    assert published(settings, rows, contents={"seed": 42}) == first
    elsewhere = {"train_until": NOON - timedelta(seconds=1)}
    write_evaluation_tables(settings, {"acme": rows}, contents=elsewhere)
    (second,) = made(settings, now=LATER)
    assert second.content_hash == first.content_hash
    assert EVALUATION_SETS.all_of(Lake(settings), "acme") == [first, second]
    assert EVALUATION_SETS.find(Lake(settings), "acme", "current") == second
    assert EVALUATION_SETS.find(Lake(settings), "acme", first.snapshot_id) == first


def test_what_any_snapshot_pins_is_to_be_spared(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(20)})
    training = publish(settings, "acme", gate=None, now=NOON)
    evaluation = published(settings, evaluated(40))
    pinned = pinned_versions(Lake(settings))
    for manifest in (training, evaluation):
        for table in manifest.pinned.values():
            assert table.version in pinned[table.location]
    assert {"training/training_data", "evaluation/evaluation_data"} <= set(pinned)


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        pytest.param({"train_positive_count": 0}, "no positive to learn from", id="no train"),
        pytest.param({"validation_count": 0, "test_count": 0}, "to predict", id="no test"),
        pytest.param({"example_count": 3}, "another run", id="tables of two runs"),
    ],
)
def test_what_cannot_be_evaluated_is_not_published(
    settings: LakeSettings, contents: dict[str, Any], told: str
) -> None:
    write_evaluation_tables(settings, {"acme": evaluated(40)}, contents=contents)
    with pytest.raises(EtaError, match=told):
        made(settings)
    assert EVALUATION_SETS.tenants(Lake(settings)) == []


def test_who_has_nothing_is_told(settings: LakeSettings) -> None:
    with pytest.raises(EtaError, match="stg_interactions does not exist yet"):
        made(settings)
    published(settings, evaluated(40))
    with pytest.raises(EtaError, match="no interaction of a positive"):
        made(settings, "initech")
    with pytest.raises(EtaError, match="nothing is published") as error:
        EVALUATION_SETS.find(Lake(settings), "initech", "current")
    assert "eta evaluation make" in error.value.remedy


def test_parquet_is_divided_by_split(settings: LakeSettings, tmp_path: Path) -> None:
    rows = evaluated(300)
    manifest = published(settings, rows)
    to = tmp_path / "out"
    export_snapshot(Lake(settings), manifest, ExportFormat.PARQUET, to)
    paths = to / "evaluation_data/2026-05-01/*/*/*.parquet"
    files = f"read_parquet('{paths}', hive_types = {{'label': double}})"
    counted = duckdb.sql(f"select split, label, count(*) from {files} group by all").fetchall()
    held_out = manifest.held_out
    assert {(split, label): count for split, label, count in counted} == {
        ("train", 1.0): manifest.counts.positives,
        ("train", 0.0): manifest.counts.negatives,
        ("validation", 1.0): held_out.validation,
        ("test", 1.0): held_out.test,
    }
    cold = duckdb.sql(f"select count(*) from {files} where is_cold_user").fetchall()
    assert cold == [(held_out.of_cold_users,)]
    items = pl.read_parquet(to / "items.parquet")
    assert items["train_positive_count"].sum() == manifest.counts.positives
    assert set(items["item_id"]) == {row["item_id"] for row in rows}
    text = (to / "README.md").read_text()
    assert f"| test: positives | {held_out.test} |" in text
    document = json.loads((to / "manifest.json").read_text())
    assert document["split"]["train_until"] == "2026-05-01T12:00:00Z"


def test_recbole_gets_a_benchmark_that_is_divided_already(
    settings: LakeSettings, tmp_path: Path
) -> None:
    rows = evaluated(120)
    manifest = published(settings, rows)
    export_snapshot(Lake(settings), manifest, ExportFormat.RECBOLE, tmp_path / "out")
    root = tmp_path / "out" / "acme"
    for split, name in (("train", "train"), ("validation", "valid"), ("test", "test")):
        found = recbole_frame(root / f"acme.{name}.inter")
        assert sorted(found.itertuples(index=False, name=None)) == sorted(
            (row["user_id"], row["item_id"], row["label"], row["event_time"].timestamp())
            for row in rows
            if row["split"] == split
        )
    positives = recbole_frame(root / "acme.positives.inter")
    assert len(positives) == manifest.counts.positives
    assert set(positives["label"]) == {1.0}
    assert not (root / "acme.inter").exists()
    assert len(recbole_frame(root / "acme.item")) == len({row["item_id"] for row in rows})
    assert (
        "benchmark_filename: [positives, valid, test]" in (tmp_path / "out/README.md").read_text()
    )


def test_personalize_has_no_place_for_a_split(settings: LakeSettings, tmp_path: Path) -> None:
    manifest = published(settings, evaluated(40))
    with pytest.raises(EtaError, match="no place for a split"):
        export_snapshot(Lake(settings), manifest, ExportFormat.PERSONALIZE, tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == []


@pytest.mark.parametrize("column", ["split", "is_cold_user", "is_cold_item"])
def test_a_row_in_another_part_is_not_the_manifests(
    settings: LakeSettings, tmp_path: Path, column: str
) -> None:
    rows = evaluated(40)
    manifest = published(settings, rows)
    other = {"split": "train", "is_cold_user": not rows[0]["is_cold_user"]}
    other["is_cold_item"] = not rows[0]["is_cold_item"]
    changed = [{**rows[0], column: other[column]}, *rows[1:]]
    assert changed != rows
    write_evaluation_tables(settings, {"acme": changed, "globex": evaluated(9, seed=5)})
    newest = {name: version.model_copy(update={"version": version.version + 1})
              for name, version in manifest.pinned.items()}  # fmt: skip
    wrong = manifest.model_copy(update={"pinned": newest})
    with pytest.raises(EtaError, match="not those its manifest names"):
        list(sorted_rows(Lake(settings), wrong, tmp_path))


def test_exports_of_both_kinds_have_places_of_their_own(settings: LakeSettings) -> None:
    manifest = published(settings, evaluated(40))
    place = default_destination(Lake(settings), manifest, ExportFormat.PARQUET)
    assert place.name == f"{manifest.snapshot_id}-evaluation-parquet"
    assert place.parent == settings.home_dir / "exports" / "acme"


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"method": "random"}, id="no random split"),
        pytest.param({"train_share": 0.9, "validation_share": 0.1}, id="no test"),
        pytest.param({"train_share": 0}, id="no train"),
        pytest.param({"validation_until": NOON}, id="half a pair of moments"),
        pytest.param({"train_until": LATER, "validation_until": NOON}, id="out of order"),
        pytest.param({"method": "leave_one_out", "train_until": NOON}, id="two methods"),
        pytest.param({"minimum_user_positives": -1}, id="below zero"),
    ],
)
def test_settings_that_divide_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EvaluationSettings.model_validate(wrong)
