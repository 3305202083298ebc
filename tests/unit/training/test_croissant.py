"""`croissant.json` of an export: the library of the format validates it and loads by it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import mlcroissant
import pytest

from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import publish
from tests.support.evaluation import evaluated, write_evaluation_tables
from tests.support.lake import NOON
from tests.support.training import examples, write_training_tables
from tests.unit.training.test_evaluation import made


def exported(settings: LakeSettings, manifest: Manifest, to: Path, kind: str, **how: Any) -> Path:
    export_snapshot(Lake(settings), manifest, ExportFormat(kind), to, **how)
    return to / "croissant.json"


@pytest.fixture
def manifest(settings: LakeSettings) -> Manifest:
    write_training_tables(settings, {"acme": examples(60)})
    return publish(settings, "acme", gate=None, now=NOON)


@pytest.mark.parametrize("kind", ["parquet", "huggingface"])
def test_the_rows_are_loaded_by_it(
    settings: LakeSettings, manifest: Manifest, tmp_path: Path, kind: str
) -> None:
    chosen = {"features": ["all"], "history": 2}
    path = exported(settings, manifest, tmp_path / "out", kind, **chosen)
    data = mlcroissant.Dataset(str(path))
    assert not data.metadata.ctx.issues.errors
    rows = list(data.records("examples"))
    assert len(rows) == manifest.counts.rows
    assert sum(row["examples/label"] for row in rows) == manifest.counts.positives
    assert rows[0]["examples/history_item_ids"] == [b"h1", b"h2"]
    assert {row["examples/tenant_id"] for row in rows} == {b"acme"}
    told = json.loads(path.read_text())
    assert "item_texts" in told["description"]


def test_an_evaluation_snapshot_has_its_splits(settings: LakeSettings, tmp_path: Path) -> None:
    write_evaluation_tables(settings, {"acme": evaluated(200), "globex": evaluated(9, seed=5)})
    snapshot = made(settings)[0]
    path = exported(settings, snapshot, tmp_path / "out", "parquet")
    rows = list(mlcroissant.Dataset(str(path)).records("examples"))
    splits = [row["examples/split"] for row in rows]
    assert splits.count(b"train") == snapshot.counts.rows
    assert splits.count(b"test") == snapshot.held_out.test
    assert len(rows) == snapshot.row_count


def test_its_checksums_are_those_of_the_files(
    settings: LakeSettings, manifest: Manifest, tmp_path: Path
) -> None:
    path = exported(settings, manifest, tmp_path / "out", "parquet")
    files = {
        one["contentUrl"]: one
        for one in json.loads(path.read_text())["distribution"]
        if one["@type"] == "cr:FileObject"
    }
    held = {file.relative_to(path.parent).as_posix() for file in path.parent.rglob("*.parquet")}
    assert files.keys() == held
    for name, told in files.items():
        content = (path.parent / name).read_bytes()
        assert told["sha256"] == hashlib.sha256(content).hexdigest()
        assert told["contentSize"] == f"{len(content)} B"
    listed = (path.parent / "SHA256SUMS").read_text()
    assert f"{hashlib.sha256(path.read_bytes()).hexdigest()}  croissant.json" in listed


def test_files_of_no_parquet_have_none(
    settings: LakeSettings, manifest: Manifest, tmp_path: Path
) -> None:
    assert not exported(settings, manifest, tmp_path / "out", "recbole").exists()
