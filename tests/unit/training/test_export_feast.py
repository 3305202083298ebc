"""Feast's join of an exported repository is the models' own: strictly before, in all rows."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training import rows as reading
from lakehouse.training.export import feature_histories
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import publish
from tests.support.evaluation import evaluated
from tests.support.feast_store import KEYS, joined_by_feast
from tests.support.lake import NOON
from tests.support.readers import why_not
from tests.support.training import (
    AGING,
    COUNTED_UNTIL,
    PARAMETERS,
    examples,
    write_table,
    write_training_tables,
)
from tests.unit.training.test_evaluation import published as evaluation

WHY_NOT = why_not("feast")
needs_feast = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")
ODD = ('a,b|"c"', "tab\tand\nline", "ü|3 🎲", " NA ", "nan", "a/b\\c")
FEATURES = ("user_total_interactions", "user_avg_rating", "item_popularity", "item_last_day")


def history_of(entity: str, rows: list[dict[str, Any]], seed: int) -> pa.Table:
    """Two features per entity and time: at times of events themselves, close to them, and null."""
    rng = random.Random(seed)
    key = f"{entity}_id"
    names = ("total_interactions", "avg_rating") if entity == "user" else ("popularity", "last_day")
    shifts = (-1, 0, 0, 1, -(9**9), 9**9)
    moments = {
        (row[key], row["event_time"] + timedelta(microseconds=rng.choice(shifts)))
        for row in rows
        if rng.random() < 0.7
    }
    found = [
        {
            "tenant_id": "acme",
            key: entity_id,
            names[0]: rng.randrange(10**6),
            names[1]: rng.choice([None, rng.random()]),
            "not_in_examples": "x",
            "as_of": moment,
        }
        for entity_id, moment in moments
    ]
    found.append({**found[0], "tenant_id": "globex", names[0]: -1})
    schema = pa.schema(
        [
            ("tenant_id", pa.string()),
            (key, pa.string()),
            (names[0], pa.int64()),
            (names[1], pa.float64()),
            ("not_in_examples", pa.string()),
            ("as_of", pa.timestamp("us", tz="UTC")),
        ]
    )
    rng.shuffle(found)
    return pa.Table.from_pylist(found, schema)


def joined(rows: pl.DataFrame, history: pl.DataFrame, entity: str) -> pl.DataFrame:
    """Row by row, as slowly as it says: the newest state strictly before."""
    key = f"{entity}_id"
    names = [name for name in history.columns if name not in ("tenant_id", key, "as_of")]
    states = sorted(history.filter(tenant_id="acme").to_dicts(), key=lambda one: one["as_of"])
    found: list[dict[str, Any]] = []
    for row in rows.to_dicts():
        before = [s for s in states if s[key] == row[key] and s["as_of"] < row["event_time"]]
        last = before[-1] if before else dict.fromkeys(names)
        found.append({f"{entity}_{name}": last[name] for name in names})
    schema = {f"{entity}_{name}": history.schema[name] for name in names}
    return pl.concat([rows, pl.DataFrame(found, schema)], how="horizontal")


def published(
    settings: LakeSettings, rows: list[dict[str, Any]], **how: Any
) -> tuple[Manifest, pl.DataFrame]:
    """Publish a snapshot whose examples are joined with histories; return both."""
    for entity in ("user", "item"):
        history = history_of(entity, rows, seed=len(entity))
        write_table(settings, f"features/{entity}_feature_history", history, PARAMETERS)
    write_training_tables(settings, {"acme": rows}, **how)
    described = pl.read_delta(f"{settings.lake}/training/training_examples")
    described = described.select(pl.exclude("^(user|item|context)_(total.*|pop.*|texts|loc.*)$"))
    for entity in ("user", "item"):
        history = pl.read_delta(f"{settings.lake}/features/{entity}_feature_history")
        described = joined(described, history, entity)
    described = described.drop("user_not_in_examples", "item_not_in_examples")
    table = described.to_arrow(compat_level=pl.CompatLevel.oldest())
    parameters = how.get("parameters", PARAMETERS)
    write_table(settings, "training/training_examples", table, parameters)
    return publish(settings, "acme", gate=None, now=NOON), described


def exported(settings: LakeSettings, manifest: Manifest, to: Path) -> Path:
    export_snapshot(Lake(settings), manifest, ExportFormat.FEAST, to)
    return to


@needs_feast
def test_feast_joins_every_row_as_the_models_do(settings: LakeSettings, tmp_path: Path) -> None:
    """With ties of event and state, several users at one time, and one pair twice at a time.

    Weights and shown negatives come along.
    """
    rows = [{**row, "type_weight": 0.5, "shown_position": None} for row in examples(120, users=ODD)]
    for row in rows:
        if row["draw_index"] == 4:
            row |= {"negative_type": "shown", "shown_position": 2}
    rows += [{**row, "user_id": "twin", "draw_index": 0} for row in rows if row["draw_index"] == 0]
    rows += [{**row, "draw_index": 9, "label": 0.0, "negative_type": "sampled"} for row in rows[:9]]
    parameters = {**PARAMETERS, **AGING, "shown_per_positive": 1}
    manifest, described = published(settings, rows, parameters=parameters)
    to = exported(settings, manifest, tmp_path / "out")
    found = joined_by_feast(to)
    assert found.height == manifest.row_count == len(rows)
    wanted = described.sort(KEYS)
    columns = [*KEYS, "item_id", "label", *FEATURES]
    same = found.select(pl.col(name).cast(wanted.schema[name]) for name in columns)
    assert same.fill_nan(None).equals(wanted.select(columns))
    states = pl.read_parquet(to / "user_features")
    ties = wanted.join(
        states.with_columns(pl.col("event_timestamp") - timedelta(microseconds=1)),
        left_on=["user_id", "event_time"],
        right_on=["user_id", "event_timestamp"],
    )
    assert ties.height > 50
    assert found.filter(negative_type="shown").height == 120
    assert found.get_column("shown_position").drop_nulls().unique().to_list() == [2]
    days = (pl.lit(COUNTED_UNTIL) - pl.col("event_time")).dt.total_microseconds() / 86_400e6
    expected = found.select(0.5 * pl.lit(0.5).pow(days / 30)).to_series()
    assert (found.get_column("sample_weight") - expected).abs().max() < 1e-12


@pytest.mark.parametrize("range_rows", [50, 100_000])
def test_histories_of_another_run_are_refused(
    settings: LakeSettings, tmp_path: Path, range_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_histories, "RANGE_ROWS", range_rows)
    monkeypatch.setitem(reading.sorted_rows.__kwdefaults__, "range_rows", range_rows)
    rows = examples(120)
    manifest, described = published(settings, rows)
    exported(settings, manifest, tmp_path / "right")
    changed = described.to_dicts()
    changed[77]["item_popularity"] = (changed[77]["item_popularity"] or 0) + 1
    table = pl.DataFrame(changed, described.schema).to_arrow(compat_level=pl.CompatLevel.oldest())
    write_table(settings, "training/training_examples", table, PARAMETERS)
    other = publish(settings, "acme", gate=None, now=NOON + timedelta(days=1))
    with pytest.raises(EtaError, match="item features in the lake are not those"):
        exported(settings, other, tmp_path / "wrong")
    assert sorted(path.name for path in tmp_path.iterdir() if "wrong" in path.name) == []


def test_the_histories_are_those_of_the_snapshot_s_time(
    settings: LakeSettings, tmp_path: Path
) -> None:
    """A later run changed them: an older snapshot has its own as long as they are kept."""
    manifest, _ = published(settings, examples(40))
    exported(settings, manifest, tmp_path / "before")
    later = history_of("user", examples(40, seed=2), seed=9)
    write_table(settings, "features/user_feature_history", later, PARAMETERS)
    exported(settings, manifest, tmp_path / "after")
    sums = [(tmp_path / name / "SHA256SUMS").read_text() for name in ("before", "after")]
    assert sums[0] == sums[1]


def test_what_it_cannot_be_is_told(settings: LakeSettings, tmp_path: Path) -> None:
    manifest, _ = published(settings, examples(5))
    with pytest.raises(EtaError, match="all features of users and items"):
        export_snapshot(
            Lake(settings), manifest, ExportFormat.FEAST, tmp_path / "a", features=["user"]
        )
    with pytest.raises(EtaError, match="no features"):
        exported(settings, evaluation(settings, evaluated(20)), tmp_path / "b")
