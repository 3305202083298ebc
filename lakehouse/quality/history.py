"""Gathers what is known of the tenants' quality: for the page, the report and the API alike.

Each part costs a bounded amount however long the history is: the newest rows of a tenant's own
partitions, the newest files, the newest runs. A part that cannot be read is named in the document
(`unread`); the others are still told. Nothing here needs Spark.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from deltalake.exceptions import DeltaError, TableNotFoundError

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode
from lakehouse.contracts.tenant import check_owner
from lakehouse.control.connection import DatabaseUnreachable
from lakehouse.control.runs import ModelRun
from lakehouse.errors import EtaError
from lakehouse.quality import quality_table
from lakehouse.quality.document import (
    Build,
    DataTypeQuality,
    DataTypeSummary,
    Measurement,
    Node,
    QualityOverview,
    QualityReport,
    Rejects,
    Run,
    StageCosts,
    TenantSummary,
)
from lakehouse.quality.gate_history import gate_reports, noted_verdicts, verdicts
from lakehouse.quality.scoring import OBJECTIVE_HOURS, Shares, score
from lakehouse.storage.build_reports import BuildReport, read_build_reports
from lakehouse.storage.cost_reports import STAGES, read_costs, read_kept
from lakehouse.storage.lake import Lake
from lakehouse.storage.quarantine import Quarantine

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase

DAYS: Final = 30
"""How far back a report looks unless told."""
MOST_DAYS: Final = 90

_GATE_FILES: Final = 30
_BUILD_FILES: Final = 400
_RUNS: Final = 30
_BUILDS: Final = 20
_REASONS: Final = 100

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reader:
    """Where to read, and how far back."""

    lake: Lake
    database: ControlDatabase | None
    days: int = DAYS
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def report(self, tenant_id: str) -> QualityReport:
        """Return everything of one tenant; empty lists where there is nothing yet."""
        check_owner(tenant_id)
        now = self.clock()
        since = now - timedelta(days=self.days)
        parts = _Parts()
        kinds = parts.read("the measurements", lambda: self._data_types(tenant_id, since, now))
        runs = parts.read("the runs", self._runs) or ()
        rejects = parts.read("the quarantine", lambda: self._rejects(tenant_id, since))
        files = parts.read("the gate's reports", lambda: self._gate_files(since, tenant_id)) or []
        builds = parts.read("dbt's results", lambda: self._builds(tenant_id, since))
        costs = parts.read("what it costs", lambda: self._costs(tenant_id, since, parts))
        return QualityReport(
            generated_at=now,
            tenant_id=tenant_id,
            days=self.days,
            score=_lowest(kind.score for kind in kinds or ()),
            data_types=kinds or [],
            rejects=rejects or [],
            gates=verdicts([*files, *noted_verdicts(runs, tenant_id)], tenant_id, _GATE_FILES),
            runs=[_run(run, tenant_id) for run in runs if _concerns(run, tenant_id)],
            builds=builds or [],
            costs=costs or [],
            unread=parts.unread,
        )

    def overview(self, tenant_id: str | None) -> QualityOverview:
        """Return one tenant, or every one that was added or sent rows (None).

        One that sent nothing in the days looked at has no score.
        """
        now = self.clock()
        since = now - timedelta(days=self.days)
        table, parts = cache(self.lake.table), _Parts()
        shares = parts.read(
            "the measurements", lambda: quality_table.newest_shares(table, since, tenant_id)
        )
        received = parts.read(
            "the ledger", lambda: quality_table.last_received(table, since, tenant_id, now)
        )
        files = parts.read("the gate's reports", lambda: self._gate_files(since, tenant_id)) or []
        verdict = {entry["tenant_id"]: entry for entry in reversed(files)}  # the newest stays
        kinds = _summaries(shares or {}, received or {}, now)
        added = parts.read("the tenants", self._added) or ()
        names = {*kinds, *added} if tenant_id is None else {tenant_id}
        found = [_tenant(name, kinds.get(name, []), verdict.get(name)) for name in names]
        return QualityOverview(
            generated_at=now,
            days=self.days,
            tenants=sorted(found, key=lambda t: (t.score is None, t.score or 0.0, t.tenant_id)),
            unread=parts.unread,
        )

    def _added(self) -> list[str]:
        if self.database is None:
            return []
        return [tenant.tenant_id for tenant in self.database.tenants.list()]

    def _data_types(self, tenant_id: str, since: datetime, now: datetime) -> list[DataTypeQuality]:
        table = cache(self.lake.table)
        received = quality_table.last_received(table, since, tenant_id, now)
        found = []
        for kind in DataType:
            rows, is_cut = quality_table.history(table, tenant_id, kind, since)
            last = received.get((tenant_id, kind))
            if rows or last is not None:
                measurements = [Measurement(**row) for row in rows]
                found.append(
                    DataTypeQuality(
                        data_type=kind,
                        score=_score_now(kind, measurements, _age(last, now)),
                        last_received_at=last,
                        freshness_hours=_age(last, now),
                        freshness_objective_hours=OBJECTIVE_HOURS[kind],
                        history=measurements,
                        is_cut=is_cut,
                    )
                )
        return found

    def _rejects(self, tenant_id: str, since: datetime) -> list[Rejects]:
        remedies = {code.value: EXPLANATIONS[code].remedy for code in ReasonCode}
        open_rows = Quarantine(cache(self.lake.table), tenant_id, since=since.date())
        return [
            Rejects(
                data_type=count.data_type,
                code=count.code,
                field=count.field,
                rows=count.rows,
                batches=count.batches,
                remedy=remedies.get(count.code),
            )
            for count in open_rows.reasons()[:_REASONS]
        ]

    def _gate_files(self, since: datetime, tenant_id: str | None) -> list[dict[str, Any]]:
        home = self.lake.home
        return gate_reports(home, since=since, limit=_GATE_FILES, tenant_id=tenant_id)

    def _runs(self) -> Sequence[ModelRun]:
        return () if self.database is None else self.database.runs.list(limit=_RUNS)

    def _builds(self, tenant_id: str, since: datetime) -> list[Build]:
        found = read_build_reports(self.lake.home, since=since, limit=_BUILD_FILES)
        return _by_run([r for r in found if r.tenant_id in (None, tenant_id)])[:_BUILDS]

    def _costs(self, tenant_id: str, since: datetime, parts: _Parts) -> list[StageCosts]:
        summed = read_costs(self.lake.home, since)
        if summed.unreadable:
            parts.unread.append(f"{summed.unreadable:,} reports of what runs cost are damaged")
        kept = read_kept(self.lake.home).get(tenant_id, {})
        costs = summed.costs.get(tenant_id, {})
        return [
            StageCosts(
                stage=stage,
                kept_bytes=kept[stage].bytes if stage in kept else None,
                kept_rows=kept[stage].rows if stage in kept else None,
                written_bytes=_whole(costs.get(stage, {}).get("bytes")),
                seconds=costs.get(stage, {}).get("seconds"),
                processor_seconds=costs.get(stage, {}).get("processor_seconds"),
            )
            for stage in STAGES
            if stage in kept or stage in costs
        ]


class _Parts:
    """Reads parts one by one and remembers in words which of them could not be read."""

    def __init__(self) -> None:
        self.unread: list[str] = []

    def read(self, name: str, part: Callable[[], _T]) -> _T | None:
        try:
            return part()
        except TableNotFoundError:  # nothing was ever written there
            return None
        except (DatabaseUnreachable, DeltaError, EtaError, OSError) as error:
            _log.warning("%s could not be read: %s", name, type(error).__qualname__)
            self.unread.append(f"{name} could not be read; the log says why")
            return None


def _summaries(
    shares: Mapping[quality_table.Key, tuple[datetime, Shares]],
    received: Mapping[quality_table.Key, datetime],
    now: datetime,
) -> dict[str, list[DataTypeSummary]]:
    found: dict[str, list[DataTypeSummary]] = {}
    for tenant_id, name in sorted({*shares, *received}):
        measured_at, held = shares.get((tenant_id, name), (None, Shares()))
        age = _age(received.get((tenant_id, name)), now)
        summary = DataTypeSummary(
            data_type=name,
            score=score(DataType(name), age, held),
            measured_at=measured_at,
            freshness_hours=age,
            freshness_objective_hours=OBJECTIVE_HOURS[DataType(name)],
        )
        found.setdefault(tenant_id, []).append(summary)
    return found


def _tenant(
    tenant_id: str, kinds: list[DataTypeSummary], newest: Mapping[str, Any] | None
) -> TenantSummary:
    verdict = verdicts([] if newest is None else [newest], tenant_id, 1)
    return TenantSummary(
        tenant_id=tenant_id,
        score=_lowest(kind.score for kind in kinds),
        passed=verdict[0].passed if verdict else None,
        checked_at=verdict[0].checked_at if verdict else None,
        data_types=kinds,
    )


def _concerns(run: ModelRun, tenant_id: str) -> bool:
    """Whether a run was about the tenant; what others asked for themselves is theirs."""
    return run.parameters.get("tenant_id") in (None, tenant_id)


def _run(run: ModelRun, tenant_id: str) -> Run:
    done = run.notes.get("publication", {})
    outcome = None
    for name, told in (("new", "published"), ("unchanged", "unchanged"), ("refused", "refused")):
        if tenant_id in done.get(name, ()):
            outcome = told
    return Run.model_validate(
        {
            "run_id": run.run_id,
            "state": run.state,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "outcome": outcome,
            "reason": done.get("refused", {}).get(tenant_id),
        }
    )


def _by_run(reports: Iterable[BuildReport]) -> list[Build]:
    """Put the reports of one run together; they come newest first, and so do the builds."""
    groups: dict[str, list[BuildReport]] = {}
    for report in reports:
        key = report.run_id or f"alone {report.started_at.isoformat()}"
        groups.setdefault(key, []).insert(0, report)
    return [_build(group) for group in groups.values()]


def _build(reports: Sequence[BuildReport]) -> Build:
    last = {(node.kind, node.name): node for report in reports for node in report.nodes}
    failed = {"error", "fail", "runtime error"}
    return Build(
        run_id=reports[0].run_id,
        started_at=reports[0].started_at,
        seconds=round(sum(report.seconds for report in reports), 2),
        is_success=not any(node.status in failed for node in last.values()),
        nodes=[Node.model_validate(node) for node in last.values()],
    )


def _score_now(
    kind: DataType, measurements: Sequence[Measurement], age: float | None
) -> float | None:
    """The newest shares with the freshness of now, as Prometheus has them."""
    if not measurements:
        return None
    last = measurements[-1]
    shares = Shares(
        completeness=last.completeness_percent,
        validity=last.validity_percent,
        uniqueness=last.uniqueness_percent,
        consistency=last.consistency_percent,
    )
    return score(kind, age, shares)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _lowest(scores: Iterable[float | None]) -> float | None:
    return min((score for score in scores if score is not None), default=None)


def _age(moment: datetime | None, now: datetime) -> float | None:
    """Hours from a moment to now."""
    return None if moment is None else round(max((now - moment).total_seconds(), 0.0) / 3600, 2)
