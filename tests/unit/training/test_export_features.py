"""Exports with features and histories: the pinned examples', whole, for their readers."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training import rows as reading
from lakehouse.training.example_versions import have_the_same_examples
from lakehouse.training.export.run import ExportFormat, default_destination, export_snapshot
from lakehouse.training.manifest import EXAMPLES, HISTORIES, Manifest
from lakehouse.training.publish import list_snapshots, publish
from lakehouse.training.rows import ORDER, ChosenFeatures, sorted_rows
from tests.support.evaluation import evaluated, write_evaluation_tables
from tests.support.lake import NOON
from tests.support.training import examples, write_training_tables
from tests.unit.training.test_evaluation import made

EVERYTHING = {"features": ["all"], "history": 2}


def published(settings: LakeSettings, rows: list[dict[str, Any]], **how: Any) -> Manifest:
    write_training_tables(settings, {"acme": rows, "globex": examples(7, seed=5)}, **how)
    return publish(settings, "acme", gate=None, now=NOON)


def exported(
    settings: LakeSettings, manifest: Manifest, kind: ExportFormat, to: Path, **chosen: Any
) -> Path:
    export_snapshot(Lake(settings), manifest, kind, to, **chosen)
    return to


def loaded_by_datasets(to: Path, tmp_path: Path) -> Any:
    """Load a folder with the `datasets` library, which asks no server for it."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from datasets import load_dataset

    return load_dataset(str(to), cache_dir=str(tmp_path / "cache"))


def held(settings: LakeSettings, name: str) -> pl.DataFrame:
    table = DeltaTable(f"{settings.lake}/{name}").to_pyarrow_table()
    return pl.DataFrame(table).filter(pl.col("tenant_id") == "acme")


def test_the_chosen_columns_are_those_of_the_examples(
    settings: LakeSettings, tmp_path: Path
) -> None:
    manifest = published(settings, examples(200))
    to = exported(settings, manifest, ExportFormat.PARQUET, tmp_path / "out", **EVERYTHING)
    files = f"read_parquet('{to}/training_data/*/*/*.parquet', hive_types = {{'label': double}})"
    found = duckdb.sql(f"from {files}").pl()
    by = ["event_time", "user_id", "anchor_item_id", "draw_index"]
    wanted = held(settings, "training/training_examples").sort(by)
    features = ["user_total_interactions", "item_popularity", "context_location", "label"]
    found = found.sort(by)
    assert found.select(features).equals(wanted.select(features))
    texts = [{text["key"]: text["value"] for text in row} for row in found["item_texts"]]
    assert texts == [dict(row) for row in wanted["item_texts"].to_list()]
    assert set(map(tuple, found["history_item_ids"].to_list())) == {("h1", "h2")}
    last = pl.col("history_event_times").list.last()
    assert found.select((last < pl.col("event_time")).all()).item()
    told = (to / "README.md").read_text()
    assert "`user_total_interactions`" in told
    assert "last 2 interactions" in told


def test_a_group_and_a_column_are_chosen_by_name(settings: LakeSettings, tmp_path: Path) -> None:
    manifest = published(settings, examples(5))
    chosen = {"features": ["context", "item_popularity"]}
    to = exported(settings, manifest, ExportFormat.PARQUET, tmp_path / "out", **chosen)
    names = pq.read_schema(next(to.rglob("*.parquet"))).names
    added = [name for name in names if name.startswith(("user_", "item_", "context_", "history_"))]
    assert added == ["user_id", "item_id", "context_location", "item_popularity"]


@pytest.mark.parametrize("range_rows", [97, 1_000])
def test_histories_are_joined_in_ranges_of_any_size(
    settings: LakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, range_rows: int
) -> None:
    manifest = published(settings, examples(100))
    monkeypatch.setattr(reading, "HISTORY_ROWS", 64)
    chosen = ChosenFeatures(("item_popularity",), 3)
    options: dict[str, Any] = {"chosen": chosen, "range_rows": range_rows}
    frames = list(sorted_rows(Lake(settings), manifest, tmp_path, **options))
    assert sum(frame.height for frame in frames) == manifest.counts.rows
    assert max(frame.height for frame in frames) <= 64
    assert pl.concat(frames).equals(pl.concat(frames).sort(ORDER))
    assert pl.concat(frames)["history_item_ids"].list.len().unique().to_list() == [3]


def test_datasets_loads_a_training_set_with_its_labels(
    settings: LakeSettings, tmp_path: Path
) -> None:
    manifest = published(settings, examples(120))
    to = exported(settings, manifest, ExportFormat.HUGGING_FACE, tmp_path / "out", **EVERYTHING)
    loaded = loaded_by_datasets(to, tmp_path)
    assert list(loaded) == ["train"]
    labels = loaded["train"]["label"]
    counts = manifest.counts
    assert (len(labels), sum(labels)) == (counts.rows, counts.positives)
    assert loaded["train"][0]["history_item_ids"] == ["h1", "h2"]
    assert loaded["train"][0]["item_texts"][0]["key"] == "brand"


def test_datasets_loads_the_splits_of_an_evaluation_snapshot(
    settings: LakeSettings, tmp_path: Path
) -> None:
    write_evaluation_tables(settings, {"acme": evaluated(200), "globex": evaluated(9, seed=5)})
    manifest = made(settings)[0]
    to = exported(settings, manifest, ExportFormat.HUGGING_FACE, tmp_path / "out")
    loaded = loaded_by_datasets(to, tmp_path)
    held_out = manifest.held_out
    assert {name: len(rows) for name, rows in loaded.items()} == {
        "train": manifest.counts.rows,
        "validation": held_out.validation,
        "test": held_out.test,
    }


def test_sha256sum_finds_every_file_as_it_was_written(
    settings: LakeSettings, tmp_path: Path
) -> None:
    to = exported(settings, published(settings, examples(5)), ExportFormat.PARQUET, tmp_path / "o")
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=to, capture_output=True, check=False).returncode == 0
    listed = {line.split("  ", 1)[1] for line in (to / "SHA256SUMS").read_text().splitlines()}
    files = {str(path.relative_to(to)) for path in to.rglob("*") if path.is_file()}
    assert listed == files - {"SHA256SUMS"}
    (to / "README.md").write_text("other")
    assert subprocess.run(check, cwd=to, capture_output=True, check=False).returncode == 1


def test_other_features_make_another_snapshot_of_the_same_labels(settings: LakeSettings) -> None:
    first = published(settings, examples(50))
    table = DeltaTable(f"{settings.lake}/training/training_examples")
    table.update({"item_popularity": "item_popularity + 1"}, predicate="tenant_id = 'globex'")
    later = NOON + timedelta(hours=1)
    assert publish(settings, "acme", gate=None, now=later) == first, "a neighbour's features"
    table.update({"item_popularity": "item_popularity + 1"}, predicate="tenant_id = 'acme'")
    second = publish(settings, "acme", gate=None, now=later)
    assert second.content_hash == first.content_hash
    assert [found.snapshot_id for found in list_snapshots(Lake(settings), "acme")] == [
        first.snapshot_id,
        second.snapshot_id,
    ]
    assert publish(settings, "acme", gate=None, now=later) == second


def test_the_same_rows_in_other_files_are_no_other_snapshot(settings: LakeSettings) -> None:
    first = published(settings, examples(50))
    for name in ("training_examples", "user_histories"):
        DeltaTable(f"{settings.lake}/training/{name}").update(
            {"user_id": "user_id"}, predicate="tenant_id = 'acme'"
        )
    assert publish(settings, "acme", gate=None, now=NOON + timedelta(hours=1)) == first


def test_the_pinned_features_are_exported_not_the_newest(
    settings: LakeSettings, tmp_path: Path
) -> None:
    manifest = published(settings, examples(20))
    before = held(settings, "training/training_examples")["item_popularity"].sum()
    table = DeltaTable(f"{settings.lake}/training/training_examples")
    table.update({"item_popularity": "item_popularity + 1"}, predicate="tenant_id = 'acme'")
    to = exported(settings, manifest, ExportFormat.PARQUET, tmp_path / "out", features=["item"])
    assert pl.read_parquet(to / "training_data/**/*.parquet")["item_popularity"].sum() == before


@pytest.mark.parametrize("name", ["training_examples", "user_histories"])
def test_examples_of_another_run_are_not_published(settings: LakeSettings, name: str) -> None:
    """As after a run of the training data alone that changed no label."""
    write_training_tables(settings, {"acme": examples(5)})
    properties = {"eta.watermark.raw.interactions": "6"}
    table = DeltaTable(f"{settings.lake}/training/{name}")
    table.alter.set_table_properties(properties, raise_if_not_exists=False)
    with pytest.raises(EtaError, match="of different runs"):
        publish(settings, "acme", gate=None, now=NOON)


@pytest.mark.parametrize("is_log_gone", [False, True])
def test_vacuumed_features_are_told(
    settings: LakeSettings, tmp_path: Path, is_log_gone: bool
) -> None:
    manifest = published(settings, examples(30))
    published(settings, examples(31))
    table = DeltaTable(f"{settings.lake}/training/training_examples")
    table.vacuum(0, dry_run=False, enforce_retention_duration=False)
    if is_log_gone:
        table.create_checkpoint()
        for entry in Path(settings.lake, "training/training_examples/_delta_log").glob("*.json"):
            if int(entry.stem) <= manifest.pinned[EXAMPLES].version:
                entry.unlink()
    with pytest.raises(EtaError, match="not kept any more"):
        exported(settings, manifest, ExportFormat.PARQUET, tmp_path / "out", features=["all"])


def test_examples_that_lack_rows_are_not_published(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(5)})
    DeltaTable(f"{settings.lake}/training/training_examples").delete("draw_index = 3")
    with pytest.raises(EtaError, match="of different runs"):
        publish(settings, "acme", gate=None, now=NOON)


def test_an_export_without_its_histories_is_refused(settings: LakeSettings, tmp_path: Path) -> None:
    write_training_tables(settings, {"acme": examples(5)})
    DeltaTable(f"{settings.lake}/training/user_histories").delete("user_id = 'u1'")
    manifest = publish(settings, "acme", gate=None, now=NOON)
    with pytest.raises(EtaError, match="no list of their user's interactions"):
        exported(settings, manifest, ExportFormat.PARQUET, tmp_path / "out", history=3)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "chosen", "error"),
    [
        (ExportFormat.PARQUET, {"features": ["price"]}, "no feature or group 'price'"),
        (ExportFormat.PARQUET, {"features": ["user", ""]}, "no feature or group ''"),
        (ExportFormat.RECBOLE, {"features": ["user"]}, "no place for features"),
        (ExportFormat.PERSONALIZE, {"history": 5}, "no place for features"),
    ],
)
def test_what_cannot_be_exported_is_told(
    settings: LakeSettings, tmp_path: Path, kind: ExportFormat, chosen: Any, error: str
) -> None:
    manifest = published(settings, examples(5))
    with pytest.raises(EtaError, match=error):
        exported(settings, manifest, kind, tmp_path / "out", **chosen)
    assert not (tmp_path / "out").exists()


def test_an_evaluation_snapshot_has_no_features(settings: LakeSettings, tmp_path: Path) -> None:
    write_evaluation_tables(settings, {"acme": evaluated(20), "globex": evaluated(9, seed=5)})
    manifest = made(settings)[0]
    with pytest.raises(EtaError, match="evaluation snapshot has no features"):
        exported(settings, manifest, ExportFormat.PARQUET, tmp_path / "out", features=["user"])


def test_a_snapshot_of_an_earlier_release_has_no_features_and_is_renewed(
    settings: LakeSettings, tmp_path: Path
) -> None:
    manifest = published(settings, examples(5))
    pinned = {n: v for n, v in manifest.pinned.items() if n not in (EXAMPLES, HISTORIES)}
    earlier = manifest.model_copy(update={"pinned": pinned, "example_files": None})
    stored = Path(settings.lake, "training_sets/acme", f"{manifest.snapshot_id}.json")
    stored.write_text(earlier.model_dump_json())
    exported(settings, earlier, ExportFormat.PARQUET, tmp_path / "plain")
    with pytest.raises(EtaError, match="kept no features"):
        exported(settings, earlier, ExportFormat.PARQUET, tmp_path / "out", features=["all"])
    later = publish(settings, "acme", gate=None, now=NOON + timedelta(hours=1))
    assert EXAMPLES in later.pinned


def test_an_earlier_release_and_a_present_one_do_not_have_the_same_examples(
    settings: LakeSettings,
) -> None:
    manifest = published(settings, examples(5))
    pinned = {n: v for n, v in manifest.pinned.items() if n not in (EXAMPLES, HISTORIES)}
    earlier = manifest.model_copy(update={"pinned": pinned, "example_files": None})
    assert not have_the_same_examples(Lake(settings), manifest, earlier)
    assert not have_the_same_examples(Lake(settings), earlier, manifest)


def test_what_was_chosen_has_a_place_of_its_own(settings: LakeSettings) -> None:
    manifest = published(settings, examples(5))

    def name(*features: str, history: int = 0) -> str:
        kind = ExportFormat.PARQUET
        place = default_destination(Lake(settings), manifest, kind, features, history)
        assert place.parent == settings.home_dir / "exports/acme"
        return place.name.removeprefix(f"{manifest.snapshot_id}-parquet")

    assert name() == ""
    assert name("user", "item", history=50) == name("item", "user", history=50)
    assert name("user", "item", history=50) == "-item-user-history-50"
    named = [name(*features) for features in (("item_price",), ("item_age",), ("../x",), ("",))]
    assert len({*named, ""}) == 5
    assert all("/" not in found for found in named)


@pytest.mark.parametrize("is_link", [False, True])
def test_a_place_that_cannot_be_made_is_told(
    settings: LakeSettings, tmp_path: Path, is_link: bool
) -> None:
    manifest = published(settings, examples(5))
    if is_link:
        (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    else:
        (tmp_path / "file").write_text("")
    to = tmp_path / ("link" if is_link else "file/out")
    with pytest.raises(EtaError, match="there already" if is_link else "cannot be made"):
        exported(settings, manifest, ExportFormat.PARQUET, to)
