"""Training sets for cards: any features beside the rows, draws as the models make them."""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.card.gather import Contents, Stated, gather
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import publish
from tests.support.lake import NOON
from tests.support.training import PARAMETERS, write_table, write_training_tables

PROJECT = Path(__file__).parents[2]


def published(
    settings: LakeSettings,
    rows: list[dict[str, Any]],
    features: Mapping[str, pa.Array] | None = None,
    *,
    now: datetime = NOON,
    available: Mapping[str, datetime] | None = None,
    parameters: Mapping[str, Any] = PARAMETERS,
) -> Manifest:
    """Publish rows of acme; `features` replace those of the examples, in the order of the rows."""
    write_training_tables(settings, {"acme": rows}, parameters=parameters)
    if features is not None:
        data = DeltaTable(f"{settings.lake}/training/training_data").to_pyarrow_table()
        told = pa.Table.from_pylist([{"tenant_id": "acme", **row} for row in rows], data.schema)
        for name, values in features.items():
            told = told.append_column(name, values)
        write_table(settings, "training/training_examples", told, parameters)
    if available is not None:
        items = {"tenant_id": ["acme"] * len(available), "item_id": [*available]}
        times = pa.array(available.values(), pa.timestamp("us", tz="UTC"))
        table = pa.table({**items, "available_at": times})
        write_table(settings, "training/item_availability", table, {})
    return publish(settings, "acme", gate=None, now=now)


def contents(settings: LakeSettings, manifest: Manifest, stated: Stated | None = None) -> Contents:
    """Return what the card of a snapshot says, with the meanings of the project's own models."""
    return gather(Lake(settings), PROJECT, manifest, stated or Stated())


def drawn(
    available: Mapping[str, datetime],
    known: Mapping[str, Sequence[tuple[str, datetime | None]]],
    negatives: int = 4,
    seed: int = 1,
    weight: Any = None,
) -> list[dict[str, Any]]:
    """Draw uniformly for each positive, by brute force over all items.

    `known` has each user's items and the time of the positive; None: known by a view. `weight` of
    an item makes the draw another one than uniform.
    """
    chosen = random.Random(seed)
    rows = []
    for user, items in known.items():
        mine = {item for item, _ in items}
        for item, time in items:
            if time is None:
                continue
            base = {"user_id": user, "anchor_item_id": item, "event_time": time}
            positive = {"item_id": item, "draw_index": 0, "label": 1.0, "interaction_type": "click"}
            nothing = {
                "interaction_type": None,
                "negative_type": None,
                "sampling_probability": None,
            }
            rows.append({**nothing, **base, **positive})
            hour = time.replace(minute=0, second=0, microsecond=0)
            eligible = [name for name, at in available.items() if at <= hour and name not in mine]
            count = min(negatives, len(eligible))
            picked = (
                chosen.sample(eligible, count)
                if weight is None
                else sorted(eligible, key=lambda name: chosen.random() ** (1 / weight(name)))[
                    -count:
                ]
            )
            for index, name in enumerate(picked, 1):
                chance = {"negative_type": "sampled", "sampling_probability": count / len(eligible)}
                draw = {"item_id": name, "draw_index": index, "label": 0.0}
                rows.append({**nothing, **base, **draw, **chance})
    return rows


def catalogue_of(count: int) -> dict[str, datetime]:
    """Return items that became available one every five hours, half of them at the start."""
    return {
        f"it{place}": NOON + timedelta(hours=5 * max(0, place - count // 2))
        for place in range(count)
    }


def users_of(
    available: Mapping[str, datetime], count: int, viewed: int = 0, seed: int = 2
) -> dict[str, list[tuple[str, datetime | None]]]:
    """Return users with six positives each, of any items; every second has viewed `viewed` more."""
    chosen = random.Random(seed)
    found: dict[str, list[tuple[str, datetime | None]]] = {}
    for place in range(count):
        items = chosen.sample([*available], 6 + viewed)
        times: list[datetime | None] = [
            max(available[item], NOON) + timedelta(minutes=chosen.randrange(60 * 24 * 20))
            for item in items[:6]
        ]
        seen = items[6:] if place % 2 else []
        found[f"us{place}"] = [
            *zip(items[:6], times, strict=True),
            *((item, None) for item in seen),
        ]
    return found


def texts(values: Sequence[str | None]) -> pa.Array:
    """Return a column of texts."""
    return pa.array(values, pa.string())


def attributes(values: Sequence[Sequence[tuple[str, Any]] | None], kind: pa.DataType) -> pa.Array:
    """Return a column of maps, as chosen attributes are."""
    return pa.array(values, pa.map_(pa.string(), kind))
