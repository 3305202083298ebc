"""Shown negatives in what is published and exported; without them all is as it was before."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.publish import publish
from tests.support.lake import NOON
from tests.support.training import PARAMETERS, examples, write_training_tables

SHOWN: dict[str, Any] = {"negative_type": "shown", "item_id": "s", "draw_index": 5}


def with_shown() -> list[dict[str, Any]]:
    """Three positives with their negatives; for each one that was shown at place 7, 8 and 9."""
    rows = examples(3)
    drawn = [row for row in rows if row["draw_index"] == 1]
    shown = [{**row, **SHOWN, "shown_position": 7 + n} for n, row in enumerate(drawn)]
    return rows + shown


@pytest.mark.parametrize(
    "features", [pytest.param((), id="labels alone"), pytest.param(("user",), id="with features")]
)
def test_an_export_says_where_a_negative_was_shown(
    settings: LakeSettings, tmp_path: Path, features: tuple[str, ...]
) -> None:
    parameters = {**PARAMETERS, "shown_per_positive": 1}
    write_training_tables(settings, {"acme": with_shown()}, parameters=parameters)
    made = publish(settings, "acme", gate=None, now=NOON)
    assert made.parameters.shown_per_positive == 1
    assert (made.counts.shown_negatives, made.counts.negatives) == (3, 12 + 1 + 3)

    lake, folder = Lake(settings), tmp_path / "out"
    export_snapshot(lake, made, ExportFormat.PARQUET, folder, features=features)
    rows = pl.read_parquet(folder / "training_data/*/label=0.0/*.parquet")
    places = dict(rows.group_by("negative_type").agg("shown_position").iter_rows())
    assert sorted(places["shown"]) == [7, 8, 9]
    assert {*places["sampled"], *places["explicit"]} == {None}
    assert "| shown negatives | 3 |" in (folder / "README.md").read_text()


def test_without_them_nothing_of_them_is_said(settings: LakeSettings, tmp_path: Path) -> None:
    write_training_tables(settings, {"acme": examples(3)})
    made = publish(settings, "acme", gate=None, now=NOON)
    assert "shown" not in made.model_dump_json()
    export_snapshot(Lake(settings), made, ExportFormat.PARQUET, tmp_path / "out")
    assert "shown_position" not in (tmp_path / "out/README.md").read_text()
