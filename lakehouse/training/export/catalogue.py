"""A tenant's items at the versions that a snapshot pins: one row per item that may be drawn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import polars as pl

from lakehouse.contracts.fields import SENT_FIELDS
from lakehouse.contracts.order import arrival
from lakehouse.storage.lake import Lake
from lakehouse.training.manifest import CATALOGUE, EvaluationManifest, Manifest
from lakehouse.training.rows import tenant_batches

_ARRIVED: Final = ("known_at", "batch_id", "source_ref", "event_id")
_VERSIONED: Final = ("item_id", "title", "category", "updated_at", *_ARRIVED)


def items(lake: Lake, manifest: Manifest) -> pl.DataFrame:
    """Return item_id, available_at, title and category, one row per item, in order of item_id.

    Of an evaluation snapshot also train_positive_count, the popularity that it may use.

    Title and category are as the newest catalogue rows by the cutoff that sent them say, null
    without one. The price is left out: today's price beside an old event would tell the model the
    future.
    """
    columns = ["tenant_id", "item_id", "available_at"]
    if isinstance(manifest, EvaluationManifest):
        columns.append("train_positive_count")
    available = list(tenant_batches(lake, manifest, manifest.item_table, columns))
    wanted, added = ["tenant_id", *_VERSIONED], [SENT_FIELDS]
    versions = list(tenant_batches(lake, manifest, CATALOGUE, wanted, added))
    found = pl.concat(available).drop("tenant_id").sort("item_id")
    if not versions:
        return found.with_columns(title=pl.lit(None, pl.String), category=pl.lit(None, pl.String))
    catalogue = pl.concat(versions)
    if manifest.parameters.cutoff is not None:
        cutoff = datetime.fromisoformat(manifest.parameters.cutoff)
        cutoff = cutoff.replace(tzinfo=UTC) if cutoff.tzinfo is None else cutoff
        catalogue = catalogue.filter(pl.col("known_at") <= cutoff)
    newest = (
        catalogue.sort(*arrival("updated_at"), "source_ref", "event_id")
        .group_by("item_id")
        .agg(_newest("title"), _newest("category"))
    )
    return found.join(newest, on="item_id", how="left", maintain_order="left")


def _newest(field: str) -> pl.Expr:
    """The value of the last row that sent a field, as the macro `carried` has it."""
    sent = pl.col(SENT_FIELDS).cast(pl.List(pl.String))
    return pl.col(field).filter(sent.is_null() | sent.list.contains(field)).last()
