"""Exports hold exactly the rows of their manifest, for every reader, or do not exist."""

import csv
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pandas._libs.parsers import STR_NA_VALUES

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training import rows as reading
from lakehouse.training.export import parquet
from lakehouse.training.export.parquet import ParquetExport
from lakehouse.training.export.recbole import MISSING_WORDS
from lakehouse.training.export.run import ExportFormat, default_destination, export_snapshot
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import publish
from lakehouse.training.rows import ORDER, sorted_rows
from tests.support.lake import NOON
from tests.support.training import TRAINING_DATA, examples, write_training_tables

CATALOGUE = [
    {
        "tenant_id": "acme",
        "event_id": f"c{number}",
        "item_id": "i0",
        "title": title,
        "category": category,
        "batch_id": "b1",
        "source_ref": f"line:{number}",
        "updated_at": NOON + timedelta(days=number),
        "known_at": NOON,
    }
    for number, (title, category) in enumerate(
        [
            ("Old boots", "shoes"),
            ('The "dry"\tboots\n9', 'boots, "dry"'),
        ]
    )
]


def published(settings: LakeSettings, rows: list[dict[str, Any]], **how: Any) -> Manifest:
    write_training_tables(settings, {"acme": rows, "globex": examples(7, seed=5)}, **how)
    return publish(settings, "acme", gate=None, now=NOON)


def exported(settings: LakeSettings, manifest: Manifest, kind: str, to: Path) -> Path:
    export_snapshot(Lake(settings), manifest, ExportFormat(kind), to)
    return to


def test_every_reader_counts_what_the_manifest_says(settings: LakeSettings, tmp_path: Path) -> None:
    manifest = published(settings, examples(500))
    root = exported(settings, manifest, "parquet", tmp_path / "out") / "training_data/2026-05-01"
    expected = {1.0: manifest.counts.positives, 0.0: manifest.counts.negatives}
    assert expected == {1.0: 500, 0.0: 2050}

    files = f"read_parquet('{root}/*/*.parquet', hive_types = {{'label': double}})"
    counted = duckdb.sql(f"select label, count(*) from {files} group by label").fetchall()
    assert dict(counted) == expected

    schema = {"label": pl.Float64}
    scanned = pl.scan_parquet(root, hive_partitioning=True, hive_schema=schema).collect()
    assert dict(scanned.group_by("label").len().iter_rows()) == expected

    seen = {1.0: 0, 0.0: 0}
    for path in sorted(root.glob("label=*/*.parquet")):
        label = float(path.parent.name.removeprefix("label="))
        file = pq.ParquetFile(path)
        for number in range(file.num_row_groups):
            seen[label] += file.read_row_group(number, columns=["user_id"]).num_rows
    assert seen == expected
    assert pq.read_table(root).num_rows == manifest.counts.rows
    assert pd.read_parquet(root).shape[0] == manifest.counts.rows

    original = DeltaTable(f"{settings.lake}/training/training_data").to_pyarrow_table()
    wanted = pl.DataFrame(original).filter(pl.col("tenant_id") == "acme")
    by = ["label", *ORDER]
    assert scanned.select(wanted.columns).sort(by).equals(wanted.sort(by))
    assert Manifest.model_validate_json((tmp_path / "out/manifest.json").read_bytes()) == manifest
    assert "sampling_probability" in (tmp_path / "out/README.md").read_text()


def test_the_same_snapshot_gives_the_same_files(settings: LakeSettings, tmp_path: Path) -> None:
    manifest = published(settings, examples(300))
    again = published(settings, examples(300), shuffle=7)
    assert again == manifest
    first, second = (
        exported(settings, m, "parquet", tmp_path / name)
        for m, name in ((manifest, "one"), (again.model_copy(update={
            "parts": None, "pinned": {name: table.model_copy(update={"version": table.version + 1})
                       if name == "training.training_data" else table
                       for name, table in manifest.pinned.items()}}), "two"))
    )  # fmt: skip
    files = sorted(path.relative_to(first) for path in first.rglob("*.parquet"))
    assert files
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_pinned_version_is_exported_not_the_newest(
    settings: LakeSettings, tmp_path: Path
) -> None:
    manifest = published(settings, examples(30))
    published(settings, examples(31))
    root = exported(settings, manifest, "parquet", tmp_path / "out")
    assert pl.read_parquet(root / "training_data/**/*.parquet").height == manifest.counts.rows


@pytest.mark.parametrize("range_rows", [1, 97, 1_000, 10_000])
def test_rows_come_in_order_in_ranges_of_any_size(
    settings: LakeSettings, tmp_path: Path, range_rows: int
) -> None:
    manifest = published(settings, examples(400), shuffle=1)
    read: list[int] = []
    frames = list(
        sorted_rows(Lake(settings), manifest, tmp_path, on_rows=read.append, range_rows=range_rows)
    )
    together = pl.concat(frames)
    assert together.height == manifest.counts.rows == sum(read)
    assert together.equals(together.sort(ORDER))
    assert len(frames) == 1 if range_rows == 10_000 else len(frames) > 1
    assert list(tmp_path.glob(".spill*")) == []


def test_row_groups_and_files_have_the_size_of_their_target(
    tmp_path: Path, settings: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 100)
    manifest = published(settings, examples(1000))
    writer = ParquetExport(tmp_path, manifest, file_bytes=20_000)
    for frame in sorted_rows(Lake(settings), manifest, tmp_path, range_rows=333):
        writer.write(frame)
    writer.finish()
    for label, rows in (("1.0", 1000), ("0.0", 4100)):
        files = sorted(tmp_path.glob(f"training_data/*/label={label}/part-*.parquet"))
        assert len(files) > 1
        groups = []
        for path in files:
            metadata = pq.ParquetFile(path).metadata
            groups += [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
            column = metadata.row_group(0).column(0)
            assert column.is_stats_set
            if path != files[-1]:
                assert path.stat().st_size >= 20_000
        assert groups == [100] * (rows // 100)


def test_an_export_is_there_whole_or_not_at_all(
    settings: LakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = published(settings, examples(30))
    wrong = manifest.model_copy(update={"content_hash": "0" * 32})
    target = tmp_path / "exports" / "out"
    with pytest.raises(EtaError, match="not those its manifest names"):
        export_snapshot(Lake(settings), wrong, ExportFormat.PARQUET, target)
    assert list((tmp_path / "exports").iterdir()) == []

    exported(settings, manifest, "parquet", target)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    with pytest.raises(EtaError, match="there already"):
        export_snapshot(Lake(settings), manifest, ExportFormat.PARQUET, target)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    assert [path.name for path in (tmp_path / "exports").iterdir()] == ["out"]


def test_a_folder_that_is_there_is_left_alone_even_if_empty(
    settings: LakeSettings, tmp_path: Path
) -> None:
    manifest = published(settings, examples(3))
    (tmp_path / "out").mkdir()
    with pytest.raises(EtaError, match="there already"):
        export_snapshot(Lake(settings), manifest, ExportFormat.PARQUET, tmp_path / "out")


def test_no_export_lies_within_another(settings: LakeSettings, tmp_path: Path) -> None:
    """A reader of all files below the outer one would read both."""
    manifest = published(settings, examples(3))
    exported(settings, manifest, "parquet", tmp_path / "out")
    for inner in ("inner", "training_data/inner"):
        with pytest.raises(EtaError, match="lies within the export"):
            exported(settings, manifest, "parquet", tmp_path / "out" / inner)
    exported(settings, manifest, "parquet", tmp_path / "beside")


def test_vacuumed_rows_are_told(settings: LakeSettings, tmp_path: Path) -> None:
    manifest = published(settings, examples(30))
    published(settings, examples(31))
    table = DeltaTable(f"{settings.lake}/training/training_data")
    table.vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(EtaError, match="not kept any more"):
        export_snapshot(Lake(settings), manifest, ExportFormat.PARQUET, tmp_path / "out")


def test_the_default_place_is_below_the_home(settings: LakeSettings) -> None:
    manifest = published(settings, examples(3))
    place = default_destination(Lake(settings), manifest, ExportFormat.RECBOLE)
    assert place == settings.home_dir / f"exports/acme/{manifest.snapshot_id}-recbole"


def recbole_frame(path: Path) -> pd.DataFrame:
    """Read an atomic file as RecBole's `Dataset._load_feat` does."""
    with path.open(encoding="utf-8") as file:
        head = file.readline()[:-1]
    types = dict(field.split(":") for field in head.split("\t"))
    assert set(types.values()) <= {"token", "token_seq", "float", "float_seq"}
    dtypes = {f"{n}:{t}": "float64" if t == "float" else str for n, t in types.items()}
    frame = pd.read_csv(
        path, delimiter="\t", usecols=list(dtypes), dtype=dtypes, encoding="utf-8", engine="python"
    )
    frame.columns = pd.Index(list(types))
    for name, kind in types.items():
        if kind == "token_seq":
            words = frame[name].fillna("")
            frame[name] = [[word for word in text.split(" ") if word] for text in words]
    return frame


def test_recbole_reads_back_every_id(settings: LakeSettings, tmp_path: Path) -> None:
    rows = examples(60, users=("007", "a b", 'in"side', "é", "1e5", "=1+1"))
    manifest = published(settings, rows, catalogue=CATALOGUE)
    root = exported(settings, manifest, "recbole", tmp_path / "out") / "acme"
    inter = recbole_frame(root / "acme.inter")
    assert list(inter.columns) == ["user_id", "item_id", "label", "timestamp"]
    found = sorted(inter.itertuples(index=False, name=None))
    assert found == sorted(
        (row["user_id"], row["item_id"], row["label"], row["event_time"].timestamp())
        for row in rows
    )
    assert len(inter) == manifest.counts.rows
    item = recbole_frame(root / "acme.item").set_index("item_id")
    assert set(item.index) == {row["item_id"] for row in rows}
    assert item.loc["i0", "title"] == ["The", "dry", "boots", "9"]
    assert item.loc["i0", "category"] == "boots, dry"
    assert item.loc["i1", "title"] == []


@pytest.mark.parametrize(
    ("user_id", "reason"),
    [
        pytest.param("a\tb", "tab", id="tab"),
        pytest.param("a\nb", "line break", id="line break"),
        pytest.param("a\rb", "line break", id="carriage return"),
        pytest.param('"a', "begin with", id="leading quote"),
        pytest.param("NA", "missing", id="missing word"),
        pytest.param("[PAD]", "RecBole's own", id="padding"),
    ],
)
def test_recbole_refuses_an_id_that_would_come_back_as_another(
    settings: LakeSettings, tmp_path: Path, user_id: str, reason: str
) -> None:
    manifest = published(settings, examples(5, users=(user_id,)))
    with pytest.raises(EtaError, match=reason) as refusal:
        export_snapshot(Lake(settings), manifest, ExportFormat.RECBOLE, tmp_path / "out")
    assert "27 " in refusal.value.message or "26 " in refusal.value.message
    assert not (tmp_path / "out").exists()
    exported(settings, manifest, "parquet", tmp_path / "out")


def test_the_words_for_missing_are_pandas_own() -> None:
    assert set(STR_NA_VALUES) == MISSING_WORDS


def personalize_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, doublequote=False, escapechar="\\", strict=True))


def test_personalize_gets_the_positives_and_the_items(
    settings: LakeSettings, tmp_path: Path
) -> None:
    rows = examples(60, users=("a,b", "=1+1", "é", "-x"))
    manifest = published(settings, rows, catalogue=CATALOGUE)
    root = exported(settings, manifest, "personalize", tmp_path / "out")
    found = personalize_rows(root / "interactions.csv")
    assert len(found) == manifest.counts.positives
    assert {tuple(row.values()) for row in found} == {
        (row["user_id"], row["item_id"], str(int(row["event_time"].timestamp())), "click")
        for row in rows
        if row["label"] == 1
    }
    items = {row["ITEM_ID"]: row for row in personalize_rows(root / "items.csv")}
    assert set(items) == {row["item_id"] for row in rows}
    assert items["i0"]["CATEGORY_L1"] == 'boots, "dry"'
    assert items["i1"] == {
        "ITEM_ID": "i1",
        "CATEGORY_L1": "",
        "CREATION_TIMESTAMP": str(int(NOON.timestamp())),
    }
    for name in ("interactions", "items"):
        schema = json.loads((root / f"{name}.schema.json").read_text())
        header = (root / f"{name}.csv").read_text().splitlines()[0]
        assert header == ",".join(field["name"] for field in schema["fields"])
        assert schema["name"] == name.capitalize()
        assert schema["namespace"] == "com.amazonaws.personalize.schema"


@pytest.mark.parametrize("ids", [("x", "a"), ("a", "x")])
def test_of_two_states_of_one_time_the_later_line_is_exported(
    settings: LakeSettings, tmp_path: Path, ids: tuple[str, str]
) -> None:
    said = zip(ids, ("line:9", "line:10"), ("older", "newer"), strict=True)
    catalogue = [
        CATALOGUE[0] | {"event_id": event_id, "source_ref": place, "category": category}
        for event_id, place, category in said
    ]
    manifest = published(settings, examples(5), catalogue=catalogue)
    root = exported(settings, manifest, "personalize", tmp_path / "out")
    items = {row["ITEM_ID"]: row for row in personalize_rows(root / "items.csv")}
    assert items["i0"]["CATEGORY_L1"] == "newer"


@pytest.mark.parametrize("user_id", ['a"b', "a\\b", "a\nb", "x" * 257])
def test_personalize_refuses_what_it_cannot_hold(
    settings: LakeSettings, tmp_path: Path, user_id: str
) -> None:
    manifest = published(settings, examples(5, users=(user_id,)))
    with pytest.raises(EtaError, match="5 ") as refusal:
        export_snapshot(Lake(settings), manifest, ExportFormat.PERSONALIZE, tmp_path / "out")
    assert user_id not in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_the_schema_of_an_export_is_the_table_s_without_the_label() -> None:
    names = [name for name in TRAINING_DATA.names if name != "label"]
    assert parquet.SCHEMA.equals(pa.schema([TRAINING_DATA.field(name) for name in names]))
    assert reading.BATCH_ROWS == parquet.ROW_GROUP_ROWS
