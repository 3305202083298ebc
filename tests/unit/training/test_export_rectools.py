"""RecTools builds its data set from an export: all positives, weights, features, ids."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.publish import publish
from tests.support.evaluation import evaluated
from tests.support.lake import NOON
from tests.support.readers import read_by, why_not
from tests.support.training import AGING, COUNTED_UNTIL, PARAMETERS, examples, write_training_tables
from tests.unit.training.test_evaluation import published as evaluation
from tests.unit.training.test_export import CATALOGUE

ODD = ('a,b|"c"', "tab\tand\nline", "ü|3 🎲", " NA ", "=1+1", "nan", "a/b\\c", "\u2028x")
_TELL = """
import json
frame = dataset.interactions.df
users, items = dataset.user_id_map, dataset.item_id_map
told = {
    "rows": [
        [u, i, w, t.isoformat()]
        for u, i, w, t in zip(
            users.convert_to_external(frame.user_id), items.convert_to_external(frame.item_id),
            frame.weight, frame.datetime,
        )
    ],
    "items": sorted(items.external_ids),
    "features": [list(map(str, name)) for name in dataset.item_features.names],
    "user_features": (
        [list(map(str, name)) for name in dataset.user_features.names]
        if dataset.user_features is not None else []
    ),
    "negatives": negatives.groupby("negative_type").size().to_dict(),
    "matrix": dataset.get_user_item_matrix().sum().item(),
}
print(json.dumps(told))
"""

WHY_NOT = why_not("rectools")
needs_rectools = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


def exported(settings: LakeSettings, rows: list[dict[str, Any]], to: Path, **how: Any) -> Path:
    chosen = how.pop("chosen", {})
    write_training_tables(settings, {"acme": rows}, catalogue=CATALOGUE, **how)
    manifest = publish(settings, "acme", gate=None, now=NOON)
    export_snapshot(Lake(settings), manifest, ExportFormat.RECTOOLS, to, **chosen)
    return to


def loaded(folder: Path) -> Any:
    """Run what the README says, and tell what came of it."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert code is not None
    return read_by("rectools", code[1] + _TELL, folder)


@needs_rectools
def test_rectools_reads_what_the_readme_says(settings: LakeSettings, tmp_path: Path) -> None:
    rows = examples(80, users=ODD)
    to = exported(settings, rows, tmp_path / "out", chosen={"features": ["user", "item"]})
    found = loaded(to)
    positives = [row for row in rows if row["label"] == 1]
    expected = [
        [row["user_id"], row["item_id"], 1.0, row["event_time"].replace(tzinfo=None).isoformat()]
        for row in positives
    ]
    assert sorted(found["rows"]) == sorted(expected)
    assert found["negatives"] == {"sampled": 320, "explicit": 8}
    assert found["matrix"] == 80
    assert found["items"] == sorted({row["item_id"] for row in rows})
    names = {name for name, _ in found["features"]}
    assert {"category", "item_popularity", "item_texts.brand"} <= names
    assert ["category", 'boots, "dry"'] in found["features"]
    assert ["item_texts.brand", "b1"] in found["features"]
    assert [name for name, _ in found["user_features"]] == ["user_total_interactions"]


@needs_rectools
def test_weights_and_an_empty_catalogue(settings: LakeSettings, tmp_path: Path) -> None:
    rows = [{**row, "type_weight": 0.5} for row in examples(10)]
    declared = json.dumps([{"name": "click", "weight": 0.5, "label": "positive"}])
    parameters = {**PARAMETERS, **AGING, "event_types": declared}
    to = exported(settings, rows, tmp_path / "out", parameters=parameters)
    found = loaded(to)
    weights = {user + item: weight for user, item, weight, _ in found["rows"]}
    for row in rows:
        if row["label"] == 1:
            days = (COUNTED_UNTIL - row["event_time"]) / timedelta(days=1)
            weight = weights[row["user_id"] + row["item_id"]]
            assert weight == pytest.approx(0.5 * 0.5 ** (days / 30))


def test_features_are_those_of_the_first_row(settings: LakeSettings, tmp_path: Path) -> None:
    """Before all that is learned from: a later one would tell of what its user did in the set."""
    rows = examples(60)
    to = exported(settings, rows, tmp_path / "out", chosen={"features": ["user"]})
    found = pl.read_parquet(to / "user_features")
    first = {}
    for row in sorted(rows, key=lambda row: row["event_time"]):
        first.setdefault(row["user_id"], int(row["event_time"].timestamp()) % 1_000)
    assert dict(found.select("user_id", "value").iter_rows()) == {
        user: str(number) for user, number in first.items()
    }


def test_shown_negatives_stay_out_of_the_interactions(
    settings: LakeSettings, tmp_path: Path
) -> None:
    rows = examples(5)
    for row in rows:
        row["shown_position"] = None
        if row["draw_index"] == 4:
            row |= {"negative_type": "shown", "shown_position": 2}
    parameters = {**PARAMETERS, "shown_per_positive": 1}
    to = exported(settings, rows, tmp_path / "out", parameters=parameters)
    kinds = pl.read_parquet(to / "negatives").group_by("negative_type").len()
    assert dict(kinds.iter_rows()) == {"sampled": 15, "shown": 5, "explicit": 1}
    assert pl.read_parquet(to / "interactions").height == 5


@needs_rectools
def test_an_evaluation_snapshot_is_divided(settings: LakeSettings, tmp_path: Path) -> None:
    manifest = evaluation(settings, evaluated(60))
    export_snapshot(Lake(settings), manifest, ExportFormat.RECTOOLS, tmp_path / "out")
    counts = {
        name: pl.read_parquet(tmp_path / "out" / name).height
        for name in ("train", "validation", "test", "negatives")
    }
    assert counts == {
        "train": manifest.counts.positives,
        "validation": manifest.held_out.validation,
        "test": manifest.held_out.test,
        "negatives": manifest.counts.negatives,
    }
    assert len(loaded(tmp_path / "out")["rows"]) == manifest.counts.positives


@pytest.mark.parametrize("chosen", [{"features": ["all"]}, {"features": ["user"], "history": 3}])
def test_what_has_no_place_is_refused(
    settings: LakeSettings, tmp_path: Path, chosen: dict[str, Any]
) -> None:
    with pytest.raises(EtaError, match="no place for"):
        exported(settings, examples(5), tmp_path / "out", chosen=chosen)
    assert list(tmp_path.glob("*out*")) == []
