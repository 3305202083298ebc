"""Weights of exported rows, computed by hand; without event types and half-life there are none."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import publish
from lakehouse.training.sample_weights import (
    has_sample_weights,
    weighted_until,
    with_sample_weights,
)
from tests.support.lake import NOON
from tests.support.training import PARAMETERS, examples, write_training_tables

TYPES = [{"name": "click", "weight": 3.0}]
DECLARED = {**PARAMETERS, "event_types": json.dumps(TYPES)}
WEIGHTS = (3.0, 1.5, 1.0)
AGES = (0.0, 10.0, 25.0)


def rows() -> list[dict[str, Any]]:
    """Three positives with their negatives, of three weights and three ages in days."""
    found = []
    for number, (weight, age) in enumerate(zip(WEIGHTS, AGES, strict=True)):
        moment = NOON - timedelta(days=age)
        for row in examples(1, seed=number):
            known = {"anchor_item_id": f"a{number}", "type_weight": weight, "event_time": moment}
            found.append({**row, **known})
    return found


def published(settings: LakeSettings, **parameters: Any) -> Manifest:
    write_training_tables(settings, {"acme": rows()}, parameters={**PARAMETERS, **parameters})
    return publish(settings, "acme", gate=None, now=NOON)


def exported(settings: LakeSettings, manifest: Manifest, kind: str, to: Path) -> Path:
    export_snapshot(Lake(settings), manifest, ExportFormat(kind), to)
    return to


def weights(folder: Path) -> dict[str, set[float]]:
    frame = pl.read_parquet(folder / "training_data/**/*.parquet")
    found: dict[str, set[float]] = {}
    for anchor, weight in frame.select("anchor_item_id", "sample_weight").iter_rows():
        found.setdefault(anchor, set()).add(weight)
    return found


def test_a_weight_is_its_types_halved_with_every_half_life(
    settings: LakeSettings, tmp_path: Path
) -> None:
    made = published(settings, event_types=json.dumps(TYPES), half_life_days=10.0)
    assert made.parameters.event_types == tuple(TYPES)
    folder = exported(settings, made, "parquet", tmp_path / "out")
    found = {name: sorted(values) for name, values in weights(folder).items()}
    assert found == {"a0": [3.0], "a1": [0.75], "a2": pytest.approx([0.1767766952966369])}
    readme = (folder / "README.md").read_text()
    assert "halved for every 10 days of age by 2026-05-01 12:00:00 UTC" in readme


def test_without_a_half_life_age_does_not_matter(settings: LakeSettings, tmp_path: Path) -> None:
    made = published(settings, event_types=json.dumps(TYPES))
    folder = exported(settings, made, "parquet", tmp_path / "out")
    assert weights(folder) == {f"a{n}": {weight} for n, weight in enumerate(WEIGHTS)}
    assert "halved" not in (folder / "README.md").read_text()


def test_age_counts_up_to_the_cutoff(settings: LakeSettings) -> None:
    made = published(settings, half_life_days=10.0, cutoff="2026-04-21 12:00:00")
    assert weighted_until(made) == datetime(2026, 4, 21, 12, tzinfo=UTC)
    frame = with_sample_weights(pl.DataFrame(rows()), made)
    by_anchor = dict(frame.select("anchor_item_id", "sample_weight").iter_rows())
    # the first is dated ten days ahead of all that was known
    assert by_anchor == {"a0": 3.0, "a1": 1.5, "a2": pytest.approx(0.3535533905932738)}


def test_a_clock_that_is_years_ahead_outweighs_nobody(settings: LakeSettings) -> None:
    made = published(settings, half_life_days=0.01)
    ahead = pl.DataFrame({"type_weight": [1.0, 2.0], "event_time": [NOON, NOON]}).with_columns(
        pl.col("event_time") + pl.duration(days=1000)
    )
    assert with_sample_weights(ahead, made)["sample_weight"].to_list() == [1.0, 2.0]


def test_another_moment_multiplies_all_weights_by_one_number(settings: LakeSettings) -> None:
    now, then = (
        with_sample_weights(pl.DataFrame(rows()), published(settings, half_life_days=7.5, **how))
        for how in ({"cutoff": "2026-05-11T00:00:00+00:00"}, {})
    )
    ratios = (now["sample_weight"] / then["sample_weight"]).to_list()
    assert ratios == pytest.approx([ratios[0]] * len(ratios), rel=1e-12)
    assert ratios[0] < 1


def test_recbole_has_the_weight_as_a_field(settings: LakeSettings, tmp_path: Path) -> None:
    made = published(settings, event_types=json.dumps(TYPES))
    folder = exported(settings, made, "recbole", tmp_path / "out")
    header, *lines = (folder / "acme/acme.inter").read_text().splitlines()
    assert header.split("\t")[-1] == "sample_weight:float"
    assert {line.split("\t")[-1] for line in lines} == {"3.0", "1.5", "1.0"}


@pytest.mark.parametrize("kind", ["parquet", "recbole"])
def test_who_declares_nothing_has_the_columns_of_before(
    settings: LakeSettings, tmp_path: Path, kind: str
) -> None:
    write_training_tables(settings, {"acme": examples(3)})
    made = publish(settings, "acme", gate=None, now=NOON)
    assert not has_sample_weights(made)
    assert made.parameters.model_dump().keys() == {*PARAMETERS}
    folder = exported(settings, made, kind, tmp_path / "out")
    for path in folder.rglob("*"):
        assert path.is_dir() or b"sample_weight" not in path.read_bytes()


def test_a_changed_half_life_is_another_snapshot_of_the_same_rows(settings: LakeSettings) -> None:
    first = published(settings, half_life_days=10.0)
    second = published(settings, half_life_days=20.0)
    assert first.content_hash == second.content_hash
    assert not second.has_content_of(first)
    assert Manifest.model_validate_json(second.model_dump_json()) == second
