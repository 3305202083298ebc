"""Which columns of the examples an export has: chosen by group or by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.manifest import EXAMPLES, EvaluationManifest, Manifest
from lakehouse.training.pinned import open_pinned
from lakehouse.training.rows import HISTORY_COLUMNS, ChosenFeatures

GROUPS: Final = {
    "user": ("user_", "what was known of the user before the event"),
    "item": ("item_", "what was known of the item before the event"),
    "context": ("context_", "context of the event; a sampled or shown negative has its positive's"),
}
"""Group → how its columns begin, and what they say."""
ALL: Final = "all"
"""The word for every group."""
MAX_HISTORY: Final = 50
_KEYS: Final = frozenset(["user_id", "user_hash", "item_id"])
_HISTORY_TYPES: Final = (pa.string(), pa.string(), pa.timestamp("us", tz="UTC"))


def choose_features(
    lake: Lake, manifest: Manifest, features: Sequence[str], history: int
) -> ChosenFeatures | None:
    """Return the columns of the examples that groups and names stand for; None if none are given.

    `features` are groups (`user`, `item`, `context`), `all`, or names of columns; `history` is a
    number of interactions, 0 to 50. Raises `EtaError` for what the snapshot does not have.
    """
    if not features and not history:
        return None
    if isinstance(manifest, EvaluationManifest):
        raise EtaError(
            "an evaluation snapshot has no features",
            remedy="export it without --features and --history, or use `eta export`",
        )
    if EXAMPLES not in manifest.pinned:
        raise EtaError(
            f"snapshot {manifest.snapshot_id} was published by a release that kept no features",
            remedy="publish a new one with `eta prepare`",
        )
    names = feature_fields(lake, manifest).names
    columns: list[str] = []
    for wanted in features:
        starts = [GROUPS[name][0] for name in GROUPS if wanted in (name, ALL)]
        found = [name for name in names if name == wanted or name.startswith(tuple(starts))]
        if not found:
            raise EtaError(
                f"there is no feature or group {wanted!r}",
                remedy=f"groups are {', '.join(GROUPS)} and {ALL}; columns are {', '.join(names)}",
            )
        columns += found
    return ChosenFeatures(tuple(dict.fromkeys(columns)), history)


def feature_fields(lake: Lake, manifest: Manifest) -> pa.Schema:
    """Return the columns of the pinned examples that may be chosen, with their types in a file.

    A map is a list of `key` and `value`: not every reader of Parquet has a type for it.
    """
    held = pa.schema(open_pinned(lake, manifest, EXAMPLES).schema().to_arrow())
    starts = tuple(start for start, _ in GROUPS.values())
    return pa.schema(
        [
            pa.field(field.name, _file_type(field.type))
            for field in held
            if field.name.startswith(starts) and field.name not in _KEYS
        ]
    )


def chosen_fields(lake: Lake, manifest: Manifest, chosen: ChosenFeatures | None) -> list[pa.Field]:
    """Return the fields that `sorted_rows` adds for what was chosen, with their types in a file."""
    if chosen is None:
        return []
    held = feature_fields(lake, manifest)
    fields = [held.field(name) for name in chosen.columns]
    if chosen.history:
        types = zip(HISTORY_COLUMNS, _HISTORY_TYPES, strict=True)
        fields += [pa.field(name, pa.list_(kind)) for name, kind in types]
    return fields


def chosen_columns(chosen: ChosenFeatures | None) -> list[tuple[str, str]]:
    """Return what the added columns hold, for the README of an export."""
    if chosen is None:
        return []
    told = []
    for start, text in GROUPS.values():
        names = [f"`{name}`" for name in chosen.columns if name.startswith(start)]
        if names:
            told.append((", ".join(names), text))
    if chosen.history:
        names = [f"`{name}`" for name in HISTORY_COLUMNS]
        text = f"the user's last {chosen.history} interactions before the event, the oldest first"
        told.append((", ".join(names), text))
    return told


def _file_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_map(kind):
        key, value = _file_type(kind.key_type), _file_type(kind.item_type)
        return pa.list_(pa.struct([pa.field("key", key), pa.field("value", value)]))
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    return kind
