"""Which tenants got so many new rows that a run of the models should not wait for its hour.

Counted are the rows that came after the newest run of all tenants began: that run reads no more
than what was there. What a look has counted stands in that run's notes, so the next one asks the
raw tables' change feeds only for what came in between, and another run begins with nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.contracts.tables import (
    RAW_CLICKSTREAM,
    RAW_INTERACTIONS,
    RAW_ITEMS,
    RAW_USERS,
)
from lakehouse.control.database import ControlDatabase
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.run_steps import VERSIONS, newest_of_all_tenants
from lakehouse.training.tenant_settings import mapping_tenants

NEW_ROWS: Final = "new_rows"
"""The note: `versions` counted up to, `rows` per tenant, `announced_by` and `announced`."""

_TABLES: Final = (RAW_INTERACTIONS, RAW_ITEMS, RAW_USERS, RAW_CLICKSTREAM)


@dataclass(frozen=True, slots=True)
class NewRows:
    """Rows per tenant since `run_id` began; `announced` are those that a run was asked for with."""

    run_id: str | None
    rows: Mapping[str, int]
    announced: Mapping[str, int]


def new_rows(lake: Lake, database: ControlDatabase) -> NewRows:
    """Return the rows that came since the newest run of all tenants began; change nothing.

    A row of any raw table counts, of the clickstream where the tenant maps it. None and no rows
    before the first such run. Raises `EtaError` when the logs do not go back so far.
    """
    run_id, note = _look(lake, database)
    return NewRows(run_id, note.get("rows", {}), note.get("announced", {}))


def announce(
    lake: Lake, database: ControlDatabase, at_least: int, announcer: str
) -> Mapping[str, int]:
    """Return the rows of the tenants with at least so many new ones, and remember them.

    Nobody, from then until a run has begun that reads them: one run takes all that waits. The
    same `announcer`, killed and repeated, gets the same answer. Nobody either before the first run
    of all tenants. For errors see `new_rows`.
    """
    run_id, note = _look(lake, database)
    if run_id is None:
        return {}
    if "announced_by" in note:
        announced: dict[str, int] = note["announced"]
        return announced if note["announced_by"] == announcer else {}
    due = {name: count for name, count in note["rows"].items() if count >= at_least}
    if due:
        note |= {"announced": due, "announced_by": announcer}
    database.runs.note(run_id, NEW_ROWS, note)
    return due


def _look(lake: Lake, database: ControlDatabase) -> tuple[str | None, dict[str, Any]]:
    """Return the newest run of all tenants and its note, brought up to date."""
    run = newest_of_all_tenants(database)
    if run is None:
        return None, {}
    held = run.notes.get(NEW_ROWS, {"versions": run.notes[VERSIONS], "rows": {}})
    if "announced_by" in held:  # a run is asked for: nothing more is to be known
        return run.run_id, held
    rows, versions = Counter(held["rows"]), dict(held["versions"])
    for spec in _TABLES:
        table, name = lake.table(spec), spec.full_name
        came = _came_after(table, versions.get(name, -1), name)
        if came and spec is RAW_CLICKSTREAM:
            mapping = mapping_tenants(lake)
            came = Counter({one: count for one, count in came.items() if one in mapping})
        rows += came
        versions[name] = table.version()
    return run.run_id, {**held, "versions": versions, "rows": dict(sorted(rows.items()))}


def _came_after(table: DeltaTable, version: int, name: str) -> Counter[str]:
    """Return the rows of each tenant that were added after a version, batch by batch.

    A merge, an expiry or what an erasure writes again is no change in the feed.
    """
    if version == table.version():
        return Counter()
    since = version if version < table.version() else -1  # made again since
    try:
        return _inserted(table, since + 1)
    except DeltaError as error:  # entries of that age were removed from the log
        raise _too_old(name, since + 1) from error
    except Exception as error:
        if "not found" not in str(error):  # the engine has no class of its own for a missing file
            raise
        raise _too_old(name, since + 1) from error


def _inserted(table: DeltaTable, first: int) -> Counter[str]:
    found: Counter[str] = Counter()
    feed = table.load_cdf(
        starting_version=first,
        ending_version=table.version(),  # rows that come now are the next look's
        columns=["tenant_id", "_change_type"],
    )
    for batch in pa.RecordBatchReader.from_stream(feed):
        added = pl.DataFrame(batch).filter(pl.col("_change_type") == "insert")
        found.update(dict(added.group_by("tenant_id").len().iter_rows()))
    return found


def _too_old(name: str, version: int) -> EtaError:
    return EtaError(
        f"the log of {name} does not go back to version {version}, so the rows that came since the "
        "last run cannot be counted",
        remedy="run the models (`eta prepare`, or the DAG `prepare_training_data`): rows are then "
        "counted from that run on",
    )
