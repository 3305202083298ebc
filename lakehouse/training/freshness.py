"""How long received rows wait until they are in a published training set.

What the models have not read yet is asked of the raw table's change feed, so it costs as much as
came since, not as much as there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.contracts.tables import RAW_CLICKSTREAM, RAW_INTERACTIONS, TableSpec
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import query
from lakehouse.storage.row_counts import rows_by_tenant
from lakehouse.training.candidates import CONTENTS
from lakehouse.training.prepare import compare_with_current
from lakehouse.training.publish import current_snapshot
from lakehouse.training.tables import built_with
from lakehouse.training.tenant_settings import mapping_tenants

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings
    from lakehouse.training.manifest import Manifest

_UNREAD: Final = "the models have not read them"
_ROW: Final = ("batch_id", "source_ref")
_UNPUBLISHED: Final = "their training set was built and not published (`eta gate` may say why)"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A tenant with rows that no published set has; `since` is when the first became known."""

    tenant_id: str
    since: datetime
    hours: float
    why: str


def waiting_tenants(settings: LakeSettings, now: datetime) -> list[Waiting]:
    """Return the tenants with interactions, or mapped clickstreams, that wait, longest first.

    A tenant whose set did not change by what came (views alone, say) does not wait.
    """
    found = {name: (since, _UNREAD) for name, since in _unread(Lake(settings)).items()}
    for name, since in _unpublished(settings).items():
        found[name] = (min(since, found[name][0] if name in found else since), _UNPUBLISHED)
    waiting = [
        Waiting(name, since, (now - since).total_seconds() / 3600, why)
        for name, (since, why) in found.items()
    ]
    return sorted(waiting, key=lambda each: (each.since, each.tenant_id))


def _unread(lake: Lake) -> dict[str, datetime]:
    """Tenant → when the first row came that the training tables have not read."""
    found = _unread_of(lake, RAW_INTERACTIONS)
    if mapping := mapping_tenants(lake):
        for name, since in _unread_of(lake, RAW_CLICKSTREAM).items():
            if name in mapping:
                found[name] = min(since, found.get(name, since))
    return found


def _unread_of(lake: Lake, spec: TableSpec) -> dict[str, datetime]:
    raw = lake.find(spec)
    if raw is None:  # not "nobody waits": a monitor may look in the wrong place
        raise EtaError(
            f"there is no table {spec.full_name} in the lake {lake.location()}",
            remedy="set ETA_HOME or ETA_LAKE_URI to the lake's, or store the first rows",
        )
    version = _version_read(lake, spec)
    if version is None:
        return _first_known(raw)
    if version >= raw.version():
        return {}
    try:
        came = _came_after(raw, version)
    except DeltaError:  # entries of that age were removed from the log
        return _later_than_read(lake, raw)
    except Exception as error:
        if "not found" not in str(error):  # the engine has no class of its own for a missing file
            raise
        return _later_than_read(lake, raw)
    first = came.group_by("tenant_id").agg(pl.col("_commit_timestamp").min())
    return {name: _utc(moment) for name, moment in first.iter_rows()}


def _came_after(raw: DeltaTable, version: int) -> pl.DataFrame:
    """Return the rows that were added after a version and that no erasure has taken out since."""
    told = ("_change_type", "_commit_timestamp")
    changes = raw.load_cdf(starting_version=version + 1, columns=["tenant_id", *_ROW, *told])
    frame = pl.DataFrame(changes.read_all())
    kind = pl.col("_change_type")
    gone = frame.filter(kind == "delete")
    return frame.filter(kind == "insert").join(gone, on=("tenant_id", *_ROW), how="anti")


def _later_than_read(lake: Lake, raw: DeltaTable) -> dict[str, datetime]:
    """The same where the changes are not kept any more: rows later than the newest in the set."""
    contents = lake.built(CONTENTS)
    read = query(contents, "tenant_id, newest_known_at", None)
    newest = dict(read.iter_rows())
    found = {}
    for name in rows_by_tenant(raw):
        known = query(raw, "min(known_at) as known_at", name, _later(newest, name))
        if (first := known["known_at"][0]) is not None:
            found[name] = _utc(first)
    return found


def _later(newest: dict[str, datetime], tenant_id: str) -> str:
    if tenant_id not in newest:
        return "true"
    return f"known_at > timestamp '{_utc(newest[tenant_id]).isoformat()}'"


def _unpublished(settings: LakeSettings) -> dict[str, datetime]:
    """Tenants whose built set is not the current one → the first row that the current one lacks."""
    try:
        changed = compare_with_current(settings, datetime.now(UTC)).changed
    except EtaError:  # never built, or a run is going on: what was read says enough
        return {}
    lake = Lake(settings)
    mapping = mapping_tenants(lake)
    found = {}
    for name in changed:
        held = current_snapshot(lake, name)
        specs = [RAW_INTERACTIONS, *([RAW_CLICKSTREAM] if name in mapping else [])]
        known = [_first_after(lake.table(spec), name, held) for spec in specs]
        # none: the set changed by its parameters alone
        if first := min(filter(None, known), default=None):
            found[name] = first
    return found


def _first_after(raw: DeltaTable, tenant_id: str, held: Manifest | None) -> datetime | None:
    filters: list[tuple[str, str, object]] = [("tenant_id", "=", tenant_id)]
    if held is not None:
        filters.append(("known_at", ">", held.newest_known_at))
    known = pl.Series(raw.to_pyarrow_table(columns=["known_at"], filters=filters)["known_at"])
    first = known.min()
    return _utc(first) if isinstance(first, datetime) else None


def _version_read(lake: Lake, spec: TableSpec) -> int | None:
    """The version of the raw table that the training tables have read, if any."""
    try:
        contents = lake.built(CONTENTS)
    except EtaError:  # before the first run
        return None
    return built_with(contents).source_versions.get(spec.full_name)


def _first_known(raw: DeltaTable) -> dict[str, datetime]:
    known = pl.DataFrame(raw.to_pyarrow_table(columns=["tenant_id", "known_at"]))
    first = known.group_by("tenant_id").agg(pl.col("known_at").min())
    return {name: _utc(moment) for name, moment in first.iter_rows()}


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
