"""Negatives by popularity in what is published, carded and exported; without them as before."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.card.sampling import prove_sampling
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.publish import publish
from tests.support.lake import NOON
from tests.support.training import PARAMETERS, examples, write_training_tables

SAID = {"popularity": 7000, "category": 0, "exponent": 0.5, "period_days": 1}
WAYS: dict[str, Any] = {**PARAMETERS, "negatives": json.dumps(SAID)}


def drawn(positives: int) -> list[dict[str, Any]]:
    """Every second draw by popularity 9, with a probability that uniform draws cannot have."""
    nothing = {"drawn_by": None, "drawn_popularity": None, "logq": None}
    rows = [{**row, **nothing} for row in examples(positives)]
    for row in rows:
        if row["negative_type"] == "sampled":
            row |= {"drawn_by": "uniform", "logq": -4.0}
            if row["draw_index"] % 2 == 0:
                row |= {"drawn_by": "popularity", "drawn_popularity": 9, "logq": -9.0}
                row["sampling_probability"] = 1e-6
    return rows


def test_an_export_says_how_a_negative_was_drawn(settings: LakeSettings, tmp_path: Path) -> None:
    write_training_tables(settings, {"acme": drawn(3)}, parameters=WAYS)
    made = publish(settings, "acme", gate=None, now=NOON)
    assert made.parameters.negatives == SAID
    folder = tmp_path / "out"
    export_snapshot(Lake(settings), made, ExportFormat.PARQUET, folder)
    rows = pl.read_parquet(folder / "training_data/*/label=0.0/*.parquet")
    kinds = rows.group_by("drawn_by").agg(pl.col("drawn_popularity", "logq").unique())
    told = {way: (popularity, logq) for way, popularity, logq in kinds.iter_rows()}
    assert told["popularity"] == ([9], [-9.0])
    assert told["uniform"] == ([None], [-4.0])
    for name in ("drawn_by", "drawn_popularity", "logq"):
        assert f"| `{name}` |" in (folder / "README.md").read_text()


def test_the_proof_takes_uniform_draws_alone_for_uniform(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": drawn(40)}, parameters=WAYS)
    made = publish(settings, "acme", gate=None, now=NOON)
    proof = prove_sampling(Lake(settings), made)
    assert proof is not None
    assert proof.by_way == {"popularity": 80, "uniform": 80}
    write_training_tables(settings, {"acme": drawn(40)}, parameters=PARAMETERS)
    without = prove_sampling(Lake(settings), publish(settings, "acme", gate=None, now=NOON))
    assert without is not None
    assert without.by_way == {}
    assert without.impossible >= proof.impossible + 80, "they are no uniform draws"


def test_without_them_nothing_of_them_is_said(settings: LakeSettings, tmp_path: Path) -> None:
    write_training_tables(settings, {"acme": examples(3)})
    made = publish(settings, "acme", gate=None, now=NOON)
    assert made.parameters.negatives is None
    assert '"negatives":' not in made.model_dump_json()
    export_snapshot(Lake(settings), made, ExportFormat.PARQUET, tmp_path / "out")
    assert "drawn_by" not in (tmp_path / "out/README.md").read_text()
