"""Counts a tenant's impressions by item and position, for the estimate of propensities.

The counting is one query over the Delta table: what reaches this process grows with the items that
were clicked and the positions, not with the impressions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from lakehouse.contracts.tables import OPS_TENANT_SETTINGS
from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import query
from lakehouse.training.propensity import Cells, Estimate, estimate

IMPRESSIONS: Final = "features.impressions"
MOST_CELLS: Final = 20_000_000
"""Pairs of an item and a position that are held in memory, 32 bytes each and as much again."""


@dataclass(frozen=True, slots=True)
class PositionCount:
    """What was counted of a position, and its propensity (see `Estimate`)."""

    position: int
    impressions: int
    clicks: int
    estimate: Estimate

    @property
    def click_rate(self) -> float:
        """Clicks by impressions, which the items shown there have a part in."""
        return self.clicks / self.impressions


@dataclass(frozen=True, slots=True)
class Propensities:
    """The positions of a tenant's impressions, in their order."""

    tenant_id: str
    as_of: datetime
    page: str | None
    table_version: int
    positions: tuple[PositionCount, ...]

    def to_json(self) -> str:
        """Return them as a document that can be joined by `position`; it names no user or item."""
        document: dict[str, Any] = {
            "format": 1,
            "tenant_id": self.tenant_id,
            "as_of": self.as_of.isoformat(),
            "page": self.page,
            "impressions_version": self.table_version,
            "method": "position-based model, Poisson pseudo-maximum likelihood",
            "positions": [
                {
                    "position": one.position,
                    "impressions": one.impressions,
                    "clicks": one.clicks,
                    "propensity": one.estimate.propensity,
                    "standard_error": one.estimate.standard_error,
                }
                for one in self.positions
            ],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def propensities(
    lake: Lake, tenant_id: str, as_of: datetime, *, page: str | None = None, positions: int = 50
) -> Propensities:
    """Count the impressions of positions up to `positions` known by `as_of`, and estimate.

    From 0 on: GA4's `index` begins there.

    Of all pages (an item has an attraction on each of its own), or of `page`. An impression counts
    if its click window has ended by `as_of`, or else the newest would be taken for not clicked.
    Raises `EtaError` where there are none, or too few to compare two positions.
    """
    check_tenant_id(tenant_id)
    table = lake.find(IMPRESSIONS)
    if table is None:
        raise EtaError(f"{IMPRESSIONS} does not exist yet", remedy="run `eta prepare`")
    moment = f"timestamp '{as_of.astimezone(UTC).isoformat()}'"
    ended = (as_of - _click_window(lake, tenant_id)).astimezone(UTC).isoformat()
    condition = (
        f"shown_at <= timestamp '{ended}' and known_at <= {moment} "
        f"and shown_position between 0 and {int(positions)}"
    )
    if page is not None:
        condition += f" and page = '{page.replace(chr(39), chr(39) * 2)}'"
    clicks = f"sum(case when is_clicked and clicked_at <= {moment} then 1 else 0 end)"
    totals = query(
        table,
        f"shown_position as position, count(*) as impressions, {clicks} as clicks",
        tenant_id,
        f"{condition} group by shown_position",
    ).sort("position")
    if totals.is_empty():
        raise EtaError(
            "no impressions were counted"
            + (" on that page" if page is not None else "")
            + ": there are none whose click window had ended by then",
            remedy="see `select page, count(*) from features.impressions group by page`, and "
            "whether the tenant's settings ask for impressions (docs/clickstream.md)",
        )
    clicked = f"select item_id from rows where tenant_id = '{tenant_id}' and is_clicked"  # noqa: S608
    cells = query(
        table,
        f"coalesce(page, '') as page, item_id, shown_position as position, "
        f"count(*) as impressions, {clicks} as clicks",
        tenant_id,
        f"{condition} and item_id in ({clicked}) "
        f"group by coalesce(page, ''), item_id, shown_position limit {MOST_CELLS + 1}",
    )
    if cells.height > MOST_CELLS:
        raise EtaError(
            f"more than {MOST_CELLS:,} pairs of a clicked item and a position",
            remedy="count one page (--page), or fewer positions (--positions)",
        )
    found = estimate(_cells(cells, totals["position"].to_list()), totals.height)
    rows = zip(totals.iter_rows(named=True), found, strict=True)
    counted = tuple(PositionCount(**row, estimate=one) for row, one in rows)
    return Propensities(tenant_id, as_of, page, table.version(), counted)


def _click_window(lake: Lake, tenant_id: str) -> timedelta:
    """Return how long after an impression a click is its own, as the models have it; else 0."""
    columns = "last_value(clickstream order by version) as clickstream"
    (text,) = query(lake.table(OPS_TENANT_SETTINGS), columns, tenant_id)["clickstream"]
    told = json.loads(text) if text else {}
    return timedelta(microseconds=told.get("click_window_us", 0))


def _cells(counted: pl.DataFrame, positions: list[int]) -> Cells:
    """Return the counts as arrays, the items numbered in the order of their names."""
    numbered = counted.with_columns(
        item=pl.struct("page", "item_id").rank("dense") - 1,
        place=pl.col("position").replace_strict(
            positions, range(len(positions)), return_dtype=pl.Int64
        ),
    ).sort("item", "place")
    return Cells(
        numbered["item"].to_numpy().astype(np.int64),
        numbered["place"].to_numpy(),
        numbered["impressions"].to_numpy().astype(np.float64),
        numbered["clicks"].to_numpy().astype(np.float64),
    )
