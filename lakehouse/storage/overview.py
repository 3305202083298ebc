"""How many rows each tenant has in each table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lakehouse.contracts.tables import RAW_QUARANTINE, RAW_TABLES
from lakehouse.storage.lake import Lake
from lakehouse.storage.row_counts import rows_by_tenant

OVERVIEW_TABLES: Final = (
    *(spec.path for spec in RAW_TABLES.values()),
    RAW_QUARANTINE.path,
    "staging/stg_interactions",
    "features/user_features",
    "features/item_features",
    "features/recent_interactions",
    "training/training_data",
    "training/training_examples",
)


@dataclass(frozen=True, slots=True)
class TableOverview:
    """A table, where it is, and its rows per tenant; `rows` is None when it does not exist yet."""

    name: str
    location: str
    rows: Mapping[str, int] | None


def overview(lake: Lake, tables: Iterable[str] = OVERVIEW_TABLES) -> list[TableOverview]:
    """Return the tables with the rows that a reader of each gets (`row_counts`)."""
    found = []
    for path in tables:
        table = lake.find(path)
        rows = None if table is None else rows_by_tenant(table)
        found.append(TableOverview(path.replace("/", "."), lake.location(path), rows))
    return found
