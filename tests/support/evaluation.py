"""A lake with the tables that an evaluation snapshot is published from, made by delta-rs."""

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa

from lakehouse.settings import LakeSettings
from lakehouse.training.content_hash import EVALUATED, ContentHash
from tests.support.lake import NOON
from tests.support.training import CATALOGUE, PARAMETERS, TRAINING_DATA, examples, write_table

EVALUATION_DATA = pa.schema(
    [
        *TRAINING_DATA,
        ("split", pa.string()),
        ("is_cold_user", pa.bool_()),
        ("is_cold_item", pa.bool_()),
    ]
)


def evaluated(positives: int, seed: int = 1, **how: Any) -> list[dict[str, Any]]:
    """Examples of which the positives of every seventh item are held out."""
    rng = random.Random(seed)
    rows = []
    for row in examples(positives, seed, **how):
        split = ("test", "validation")[rng.random() < 0.5]
        number = int(row["anchor_item_id"][1:])
        if number % 7:
            split = "train"
        elif row["label"] != 1:
            continue
        is_cold = split != "train" and rng.random() < 0.3
        rows.append({**row, "split": split, "is_cold_user": is_cold, "is_cold_item": not is_cold})
    return rows


def write_evaluation_tables(
    settings: LakeSettings,
    tenants: Mapping[str, list[dict[str, Any]]],
    *,
    catalogue: list[dict[str, Any]] | None = None,
    contents: Mapping[str, Any] | None = None,
) -> None:
    """Replace the evaluation tables; `contents` overrides what they say of every tenant."""
    rows = [{"tenant_id": name, **row} for name, found in tenants.items() for row in found]
    data = pa.Table.from_pylist(rows, EVALUATION_DATA)
    frame = pl.DataFrame(data)
    write_table(
        settings, "staging/stg_interactions", data.select(["tenant_id", "event_time"]), PARAMETERS
    )
    items = pa.Table.from_pylist(catalogue or [], CATALOGUE)
    write_table(settings, "staging/stg_items", items, PARAMETERS)
    write_table(settings, "evaluation/evaluation_data", data, {})
    is_learned = (pl.col("label") == 1) & (pl.col("split") == "train")
    counted = frame.group_by("tenant_id", "item_id").agg(
        train_positive_count=is_learned.sum().cast(pl.Int64)
    )
    available = pl.lit(NOON).cast(pl.Datetime("us", "UTC"))
    known = counted.with_columns(available_at=available).to_arrow(
        compat_level=pl.CompatLevel.oldest()
    )
    write_table(settings, "evaluation/evaluation_items", known, {})
    found = [{**_contents(frame, name), **(contents or {})} for name in tenants]
    write_table(settings, "evaluation/evaluation_contents", pa.Table.from_pylist(found), {})


def _contents(frame: pl.DataFrame, tenant_id: str) -> dict[str, Any]:
    rows = frame.filter(pl.col("tenant_id") == tenant_id)
    counted = ContentHash(EVALUATED)
    counted.update(rows)
    split, kind = rows["split"], rows["negative_type"].fill_null("positive")
    later = rows.filter(split != "train")
    return {
        "tenant_id": tenant_id,
        "content_hash": counted.hexdigest(),
        "method": "time",
        "positive_types": "click,like",
        "negative_types": "dislike",
        "train_share": Decimal("0.800000"),
        "validation_share": Decimal("0.100000"),
        "minimum_user_positives": 0,
        "minimum_item_positives": 0,
        "seed": 42,
        "negatives_per_positive": 4,
        "example_count": rows.height,
        "train_positive_count": ((split == "train") & (kind == "positive")).sum(),
        "sampled_negative_count": (kind == "sampled").sum(),
        "explicit_negative_count": (kind == "explicit").sum(),
        "validation_count": (split == "validation").sum(),
        "test_count": (split == "test").sum(),
        "cold_user_count": later["is_cold_user"].sum(),
        "cold_item_count": later["is_cold_item"].sum(),
        "infrequent_count": 0,
        "shortfall_count": 0,
        "positives_without_negatives_count": 0,
        "liked_and_disliked_count": 0,
        "train_until": NOON,
        "validation_until": NOON,
        "newest_known_at": NOON,
    }
