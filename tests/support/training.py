"""A lake with the tables that publication reads, made by delta-rs: no Spark needed."""

import json
import random
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from lakehouse.settings import LakeSettings
from lakehouse.training.content_hash import ContentHash
from tests.support.lake import NOON

PARAMETERS = {
    "cutoff": "None",
    "negative_types": ["dislike"],
    "negatives_per_positive": 4,
    "positive_types": ["click"],
    "seed": 42,
}
COUNTED_UNTIL = NOON + timedelta(days=40)
"""After every event of `examples`, so that each has an age."""
AGING = {"half_life_days": 30.0, "cutoff": f"{COUNTED_UNTIL:%Y-%m-%d %H:%M:%S}"}
WATERMARKS = {"eta.watermark.raw.interactions": "7", "eta.watermark.ops.tenant_settings": "1"}

TRAINING_DATA = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("anchor_item_id", pa.string()),
        ("draw_index", pa.int32()),
        ("interaction_type", pa.string()),
        ("negative_type", pa.string()),
        ("label", pa.float64()),
        ("sampling_probability", pa.float64()),
        ("event_time", pa.timestamp("us", tz="UTC")),
    ]
)
WEIGHTED_DATA = TRAINING_DATA.append(pa.field("type_weight", pa.float64()))
"""The same with weights, as it is since there are event types."""
CATALOGUE = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("event_id", pa.string()),
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("category", pa.string()),
        ("batch_id", pa.string()),
        ("source_ref", pa.string()),
        ("updated_at", pa.timestamp("us", tz="UTC")),
        ("known_at", pa.timestamp("us", tz="UTC")),
    ]
)
_AVAILABILITY = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("item_id", pa.string()),
        ("available_at", pa.timestamp("us", tz="UTC")),
    ]
)

_TEXTS = pa.map_(pa.string(), pa.string())
HISTORIES_TABLE = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("user_id", pa.string()),
        ("event_time", pa.timestamp("us", tz="UTC")),
        ("item_ids", pa.list_(pa.string())),
        ("interaction_types", pa.list_(pa.string())),
        ("event_times", pa.list_(pa.timestamp("us", tz="UTC"))),
    ]
)


def examples(
    positives: int, seed: int = 1, users: tuple[str, ...] = ("u1", "u2", "ü|3")
) -> list[dict[str, Any]]:
    """Positives with four sampled negatives each, and an explicit negative for every tenth."""
    rng = random.Random(seed)
    rows = []
    for number in range(positives):
        time = NOON + timedelta(seconds=rng.randrange(86_400 * 30), microseconds=number)
        anchor = f"i{number}"
        base = {"user_id": rng.choice(users), "anchor_item_id": anchor, "event_time": time}
        nothing = {"interaction_type": None, "negative_type": None, "sampling_probability": None}
        positive = {"item_id": anchor, "draw_index": 0, "label": 1.0, "interaction_type": "click"}
        rows.append({**nothing, **base, **positive})
        for draw in range(1, 5):
            drawn = {"item_id": f"j{rng.randrange(50)}", "draw_index": draw, "label": 0.0}
            chance = {"negative_type": "sampled", "sampling_probability": 4 / (50 + number)}
            rows.append({**nothing, **base, **drawn, **chance})
        if number % 10 == 0:
            disliked = {"item_id": f"d{number}", "anchor_item_id": f"d{number}", "draw_index": 0}
            kind = {"label": 0.0, "negative_type": "explicit", "interaction_type": "dislike"}
            rows.append({**nothing, **base, **disliked, **kind})
    return rows


def write_training_tables(
    settings: LakeSettings,
    tenants: Mapping[str, list[dict[str, Any]]],
    *,
    parameters: Mapping[str, Any] = PARAMETERS,
    catalogue: list[dict[str, Any]] | None = None,
    shuffle: int | None = None,
) -> None:
    """Replace the training tables; a later version of each, as a run of the models would make."""
    rows = [{"tenant_id": name, **row} for name, found in tenants.items() for row in found]
    if shuffle is not None:
        random.Random(shuffle).shuffle(rows)
    is_weighted = any("type_weight" in row for row in rows)
    schema = WEIGHTED_DATA if is_weighted else TRAINING_DATA
    if any("shown_position" in row for row in rows):
        schema = schema.append(pa.field("shown_position", pa.int32()))
    if any("drawn_by" in row for row in rows):
        drawn = [("drawn_by", pa.string()), ("drawn_popularity", pa.int64())]
        schema = pa.schema([*schema, *map(pa.field, *zip(*drawn, strict=True))])
        schema = schema.append(pa.field("logq", pa.float64()))
    data = pa.Table.from_pylist(rows, schema)
    frame = pl.DataFrame(data)
    write_table(settings, "training/training_data", data, parameters)
    write_table(settings, "training/training_examples", _described(data), parameters)
    write_table(settings, "training/user_histories", _histories(frame), parameters)
    contents = [_contents(frame, name, parameters) for name, found in tenants.items() if found]
    write_table(settings, "training/training_contents", pa.Table.from_pylist(contents), parameters)
    available = (
        frame.select("tenant_id", "item_id")
        .unique()
        .with_columns(available_at=pl.lit(NOON).cast(pl.Datetime("us", "UTC")))
    )
    items = available.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_AVAILABILITY)
    write_table(settings, "training/item_availability", items, {})
    write_table(settings, "staging/stg_items", pa.Table.from_pylist(catalogue or [], CATALOGUE), {})


def _described(data: pa.Table) -> pa.Table:
    """The rows with two features each, a map of texts and a context."""
    frame = pl.DataFrame(data)
    seconds = frame.get_column("event_time").dt.epoch("s").to_list()
    number = pa.array([second % 1_000 for second in seconds], pa.int64())
    texts = pa.array([[("brand", f"b{second % 3}")] for second in seconds], _TEXTS)
    return (
        data.append_column("user_hash", pa.array(["h"] * data.num_rows))
        .append_column("user_total_interactions", number)
        .append_column("item_popularity", number)
        .append_column("item_texts", texts)
        .append_column("context_location", data["user_id"])
    )


def _histories(frame: pl.DataFrame) -> pa.Table:
    """Three interactions before each labelled time."""
    labelled = frame.select("tenant_id", "user_id", "event_time").unique()
    rows = [
        {
            **row,
            "item_ids": [f"h{place}" for place in range(3)],
            "interaction_types": ["view", "click", "like"],
            "event_times": [row["event_time"] - timedelta(days=3 - place) for place in range(3)],
        }
        for row in labelled.to_dicts()
    ]
    return pa.Table.from_pylist(rows, HISTORIES_TABLE)


def _contents(frame: pl.DataFrame, tenant_id: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    rows = frame.filter(pl.col("tenant_id") == tenant_id)
    counted = ContentHash()
    counted.update(rows)
    kinds = rows.get_column("negative_type").fill_null("positive")
    return {
        "tenant_id": tenant_id,
        "content_hash": counted.hexdigest(),
        "positive_types": ",".join(parameters["positive_types"]),
        "negative_types": ",".join(parameters["negative_types"]),
        "seed": parameters["seed"],
        "negatives_per_positive": parameters["negatives_per_positive"],
        "example_count": rows.height,
        "positive_count": (kinds == "positive").sum(),
        "sampled_negative_count": (kinds == "sampled").sum(),
        "explicit_negative_count": (kinds == "explicit").sum(),
        "shortfall_count": 3,
        "positives_without_negatives_count": 1,
        "liked_and_disliked_count": 2,
        "newest_known_at": NOON,
        **{
            name: parameters[name]
            for name in (
                *("event_types", "half_life_days", "clickstream", "shown_per_positive"),
                "negatives",
            )
            if name in parameters
        },
        **(
            {"shown_negative_count": (kinds == "shown").sum()}
            if "shown_per_positive" in parameters
            else {}
        ),
    }


def write_table(
    settings: LakeSettings, path: str, rows: pa.Table, parameters: Mapping[str, Any]
) -> None:
    """Replace a table; with `parameters` it says what it was built with, as the models' do."""
    location = f"{settings.lake}/{path}"
    properties = {**WATERMARKS, "eta.parameters": json.dumps(parameters)} if parameters else {}
    if not Path(location).exists():
        DeltaTable.create(location, rows.schema, partition_by=["tenant_id"])
    write_deltalake(location, rows, mode="overwrite", schema_mode="overwrite")
    if properties:
        DeltaTable(location).alter.set_table_properties(properties, raise_if_not_exists=False)
