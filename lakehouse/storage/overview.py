"""How many rows each tenant has in each table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lakehouse.contracts.tables import RAW_QUARANTINE, RAW_TABLES
from lakehouse.settings import LakeSettings
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


def overview(
    settings: LakeSettings, tables: Iterable[str] = OVERVIEW_TABLES
) -> list[TableOverview]:
    """Return the tables with the rows that a reader of each gets (`row_counts`)."""
    return [_overview(settings, path) for path in tables]


def _overview(settings: LakeSettings, path: str) -> TableOverview:
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    location = f"{settings.lake}/{path}"
    name = path.replace("/", ".")
    if settings.is_local and not (Path(location) / "_delta_log").is_dir():
        return TableOverview(name, location, None)
    try:
        table = DeltaTable(location, storage_options=settings.storage_options)
    except TableNotFoundError:
        return TableOverview(name, location, None)
    return TableOverview(name, location, rows_by_tenant(table))
