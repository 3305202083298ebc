"""Tables of earlier releases that no model writes any more: people are in them, or old figures."""

from __future__ import annotations

from typing import Final

from lakehouse.storage.lake import Lake

RETIRED_TABLES: Final = (
    ("training", "positives"),
    ("training", "explicit_negatives"),
    ("training", "sampled_negatives"),
    ("training", "training_counts"),
)
"""Schema and name; today views of `training.training_data`, and columns of `training_contents`."""


def remove_retired_tables(lake: Lake) -> None:
    """Delete the folders of the retired tables; idempotent. The models' lock must be held."""
    for schema, name in RETIRED_TABLES:
        folder = lake.folder(schema)
        if name in folder.folders():
            folder.delete_folder(name)
