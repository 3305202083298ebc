"""Measures the quality of what came since the last time and appends it to `ops.data_quality`.

Three tables are read: the ledger by its changes, and two small ones of the models. The versions
that were read stand in the commit that appends the rows, as application transactions: so no
arrival is counted twice or left out, whoever is killed and however many measure at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tables import DATA_QUALITY, OPS_DATA_QUALITY, OPS_INGEST_LEDGER
from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.contracts.traffic import TrafficFlag
from lakehouse.errors import EtaError
from lakehouse.quality.arrivals import FAULTS, Arrivals, read_arrivals
from lakehouse.quality.scoring import WINDOW, Shares, Sums, score, shares
from lakehouse.storage.data_quality import quality_rows, read_marker
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import COUNTS, OpenTable, query
from lakehouse.storage.staging import commit_files
from lakehouse.waiting import retry_times

STAGED: Final = ("staging_duplicate", "staging_conflict")
FLAGGED: Final = tuple(f"{flag}_flagged_percent" for flag in TrafficFlag)
"""Shares of the interactions that have a flag, by the models' count."""
COUNTED: Final = (*COUNTS, *FAULTS, "retried", *STAGED)
STAGING_COUNTS: Final = "ops.staging_counts"
JOIN_RATES: Final = "ops.join_rates"

_TRIES: Final = 5
_INTERACTIONS: Final = DataType.INTERACTIONS.value


def _now() -> datetime:
    return datetime.now(UTC)


def refresh(
    lake: Lake,
    run_id: str,
    *,
    tenant_id: str | None = None,
    clock: Callable[[], datetime] = _now,
) -> pl.DataFrame:
    """Append a row for each tenant and data type with news, in one commit; return the rows.

    Of one tenant, or of all. Nothing is written when nothing is new, or when `run_id` has
    measured before. Safe beside writers and other measurements, and after a kill. The tables
    must exist. Raises `EtaError` when others measured at the same time again and again.
    """
    if tenant_id is not None:
        check_tenant_id(tenant_id)

    def measure() -> pl.DataFrame:  # what another process has read meanwhile is not to be read
        return _Measurement(lake, run_id, tenant_id, clock()).append()

    failed = EtaError(
        "quality could not be measured: other processes measured at the same time",
        remedy="run `eta quality refresh` again",
    )
    return retry_times(measure, CommitFailedError, _TRIES, failed=failed)


@dataclass(frozen=True, slots=True)
class _Before:
    """What earlier rows say of a tenant and data type."""

    sums: Mapping[str, int]
    newest_known_at: datetime | None
    newest_delivery: datetime | None
    join_rate: float | None
    flagged: Mapping[str, float | None]


_NOT_FLAGGED: Final[Mapping[str, float | None]] = dict.fromkeys(FLAGGED)
_NOTHING: Final = _Before(dict.fromkeys(COUNTED, 0), None, None, None, _NOT_FLAGGED)


class _Measurement:
    """One attempt, on handles of its own; the table of measures is opened first."""

    def __init__(self, lake: Lake, run_id: str, tenant_id: str | None, now: datetime) -> None:
        self._table: OpenTable = cache(lake.table)
        self._quality: DeltaTable = self._table(OPS_DATA_QUALITY)
        self._run_id = run_id
        self._tenant_id = tenant_id
        self._now = now
        self._models = {name: lake.find(name) for name in (STAGING_COUNTS, JOIN_RATES)}

    def append(self) -> pl.DataFrame:
        """Measure and commit; see `refresh`."""
        nothing = pl.DataFrame(DATA_QUALITY.empty_table())
        if self._quality.transaction_version(self._run_id) is not None:
            return nothing
        since = self._read(OPS_INGEST_LEDGER.full_name)
        versions = {
            OPS_INGEST_LEDGER.full_name: self._table(OPS_INGEST_LEDGER).version(),
            **{name: table.version() for name, table in self._models.items() if table is not None},
        }
        if all(self._read(name) == version for name, version in versions.items()):
            return nothing
        before = self._before()
        arrivals = read_arrivals(
            self._table, since, self._now, tenant_id=self._tenant_id, read=self._read_further(since)
        )
        versions[OPS_INGEST_LEDGER.full_name] = arrivals.version
        rows = self._rows(arrivals, before)
        if self._tenant_id is not None:  # nothing is said of the others: they stay where they were
            versions = {OPS_INGEST_LEDGER.full_name: since or 0}
            if not rows:
                return nothing
        self._commit(rows, versions)
        return pl.DataFrame(pa.Table.from_pylist(rows, DATA_QUALITY))

    def _read(self, name: str) -> int | None:
        found: int | None = self._quality.transaction_version(read_marker(name))
        return found

    def _read_further(self, since: int | None) -> dict[str, int]:
        """Return the tenants that were measured alone, and up to which version of the ledger."""
        columns = "tenant_id, max(ledger_version) as version"
        rest = f"ledger_version > {since or 0} group by tenant_id"
        found = query(self._table(OPS_DATA_QUALITY), columns, self._tenant_id, rest)
        return dict(found.iter_rows())

    def _before(self) -> dict[tuple[str, str], _Before]:
        sums = ", ".join(f"sum({name}_count) as {name}" for name in COUNTED)
        columns = (
            f"tenant_id, data_type, {sums}, max(newest_known_at) as newest_known_at, "
            "max(case when received_count > 0 then measured_at end) as newest_delivery, "
            "last_value(join_rate order by measured_at) as join_rate, "
            + ", ".join(f"last_value({name} order by measured_at) as {name}" for name in FLAGGED)
        )
        rest = "true group by tenant_id, data_type"
        found = query(self._table(OPS_DATA_QUALITY), columns, self._tenant_id, rest)
        return {
            (row["tenant_id"], row["data_type"]): _Before(
                {name: row[name] for name in COUNTED},
                row["newest_known_at"],
                row["newest_delivery"],
                row["join_rate"],
                {name: row[name] for name in FLAGGED},
            )
            for row in found.to_dicts()
        }

    def _rows(
        self, arrivals: Arrivals, before: Mapping[tuple[str, str], _Before]
    ) -> list[dict[str, Any]]:
        came = {(row["tenant_id"], row["data_type"]): row for row in arrivals.counts.to_dicts()}
        staged = self._staged()
        rates = self._join_rates()
        flagged = self._flagged()
        tenants_staged = {(name, _INTERACTIONS) for name in {*staged, *rates}}
        new: dict[tuple[str, str], dict[str, Any]] = {}
        for key in sorted({*came, *tenants_staged}):
            held = before.get(key, _NOTHING)
            counts = {name: int(came.get(key, {}).get(name) or 0) for name in COUNTED}
            if arrivals.is_whole:
                counts = {name: n - held.sums[name] for name, n in counts.items()}
            told = staged.get(key[0]) if key[1] == _INTERACTIONS else None
            for name in STAGED:
                counts[name] = 0 if told is None else told[name] - held.sums[name]
            has_items = self._has_items(key[0], came, before)
            rate = rates.get(key[0]) if key[1] == _INTERACTIONS and has_items else None
            shares_flagged = _NOT_FLAGGED
            if key[1] == _INTERACTIONS:
                shares_flagged = flagged.get(key[0], held.flagged)
            if any(counts.values()) or (rate, shares_flagged) != (held.join_rate, held.flagged):
                newest = came.get(key, {}).get("newest_known_at")
                known = [moment for moment in (newest, held.newest_known_at) if moment is not None]
                new[key] = {
                    "counts": counts,
                    "join_rate": rate,
                    "flagged": shares_flagged,
                    "known": max(known, default=None),
                }
        recent = self._recent(new, before)
        return [self._row(key, found, recent[key], arrivals.version) for key, found in new.items()]

    @staticmethod
    def _has_items(
        tenant_id: str,
        came: Mapping[tuple[str, str], Mapping[str, Any]],
        before: Mapping[tuple[str, str], _Before],
    ) -> bool:
        key = (tenant_id, DataType.ITEMS.value)
        came_now = int(came.get(key, {}).get("stored", 0))
        return before.get(key, _NOTHING).sums["stored"] + came_now > 0

    def _recent(
        self,
        new: Mapping[tuple[str, str], Mapping[str, Any]],
        before: Mapping[tuple[str, str], _Before],
    ) -> dict[tuple[str, str], dict[str, int]]:
        """Return the sums over each window: what is new, and the rows up to a day before the newest
        delivery."""
        begins = {}
        for key, found in new.items():
            delivered = self._now if found["counts"]["received"] > 0 else None
            delivered = delivered or before.get(key, _NOTHING).newest_delivery or self._now
            begins[key] = delivered - WINDOW
        sums = {key: dict(found["counts"]) for key, found in new.items()}
        if not new:
            return sums
        for row in quality_rows(self._table, self._tenant_id, min(begins.values())).to_dicts():
            key = (row["tenant_id"], row["data_type"])
            if key in begins and row["measured_at"] > begins[key]:
                for name in COUNTED:
                    sums[key][name] += row[f"{name}_count"]
        return sums

    def _row(
        self,
        key: tuple[str, str],
        found: Mapping[str, Any],
        window: Mapping[str, int],
        version: int,
    ) -> dict[str, Any]:
        judged = {name: window[name] for name in Sums.__dataclass_fields__}
        percents: Shares = shares(Sums(**judged), found["join_rate"])
        known = found["known"]
        hours = None if known is None else max((self._now - known).total_seconds(), 0.0) / 3600
        return {
            "tenant_id": key[0],
            "data_type": key[1],
            "run_id": self._run_id,
            "measured_at": self._now,
            "freshness_hours": hours,
            "completeness_percent": percents.completeness,
            "validity_percent": percents.validity,
            "uniqueness_percent": percents.uniqueness,
            "consistency_percent": percents.consistency,
            "score": score(DataType(key[1]), hours, percents),
            **{f"{name}_count": count for name, count in found["counts"].items()},
            "join_rate": found["join_rate"],
            "newest_known_at": known,
            "ledger_version": version,
            **found["flagged"],
        }

    def _staged(self) -> dict[str, dict[str, int]]:
        """Return what staging put aside of each tenant's rows, over all time."""
        columns = (
            "tenant_id, sum(duplicate_count) as staging_duplicate, "
            "sum(conflict_count) as staging_conflict"
        )
        rows = self._of_models(STAGING_COUNTS, columns, "true group by tenant_id")
        return {row.pop("tenant_id"): row for row in rows}

    def _join_rates(self) -> dict[str, float]:
        rows = self._of_models(JOIN_RATES, "tenant_id, join_rate", "true")
        return {row["tenant_id"]: row["join_rate"] for row in rows}

    def _flagged(self) -> dict[str, dict[str, float | None]]:
        """Return the shares of each tenant's interactions that have a flag, 0 to 100."""
        handle = self._models[JOIN_RATES]
        if handle is None or "flagged_count" not in {one.name for one in handle.schema().fields}:
            return {}  # a release without flags made it
        columns = "tenant_id, " + ", ".join(
            f"100.0 * {flag}_count / interaction_count as {flag}_flagged_percent"
            for flag in TrafficFlag
        )
        rows = self._of_models(JOIN_RATES, columns, "interaction_count > 0")
        return {row.pop("tenant_id"): row for row in rows}

    def _of_models(self, name: str, columns: str, rest: str) -> list[dict[str, Any]]:
        handle = self._models[name]
        if handle is None:
            return []
        found = query(handle, columns, self._tenant_id, rest)
        return found.to_dicts()

    def _commit(self, rows: list[dict[str, Any]], versions: Mapping[str, int]) -> None:
        marks = {read_marker(name): version for name, version in versions.items()}
        marks[self._run_id] = 1
        if not rows:
            commit_files(self._quality, OPS_DATA_QUALITY, [], marks)
            return
        write_deltalake(
            self._quality,
            pa.Table.from_pylist(rows, DATA_QUALITY),
            mode="append",
            commit_properties=CommitProperties(
                app_transactions=[Transaction(name, number) for name, number in marks.items()]
            ),
        )
