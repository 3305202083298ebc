"""A run of the models in steps, each a process of its own: begin, check, publish, end.

Together they do what `prepare` does in one process, for a scheduler that runs every model as a
task between them. What one step tells the next stands in the control database, so a step may be
repeated, alone, on another machine, after a kill: it does its work again or finds it done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lakehouse.control.failed_tests import failed_tests, reasons
from lakehouse.control.runs import ModelRun, State
from lakehouse.errors import EtaError
from lakehouse.storage.build_reports import read_build_reports
from lakehouse.storage.cost_reports import write_costs, write_kept
from lakehouse.storage.lake import Lake
from lakehouse.training.costs import kept_by_tenant, run_costs
from lakehouse.training.lake_state import (
    SOURCES,
    code_fingerprint,
    rows_written,
    table_versions,
    tenants_received,
    tenants_since,
)
from lakehouse.training.manifest import TRAINING_DATA
from lakehouse.training.prepare import (
    Published,
    Verdict,
    compare_with_current,
    publish_changed,
)
from lakehouse.training.run_parameters import RunParameters, read_parameters

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase
    from lakehouse.settings import LakeSettings

PLAN: Final = "plan"
VERSIONS: Final = "versions"
PUBLICATION: Final = "publication"
ROWS: Final = "rows"
LATE: Final = "late"
COMPLETE: Final = "complete"

FINAL_GATE: Final = "gate"
EARLY_GATE: Final = "early_gate"

_RUNS_LOOKED_AT: Final = 50
_MOST_REPORTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run has to do; JSON values, kept in the run's notes.

    `tenants` are those with new data, None when that is not known (all of them). `variables` are
    the dbt variables of every model's task.
    """

    is_needed: bool
    reason: str
    tenants: list[str] | None
    variables: dict[str, Any]
    full_refresh: bool = False
    tenant_id: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A verdict as the notes hold it."""

    passed: bool
    report: dict[str, Any]


def begin(
    settings: LakeSettings,
    database: ControlDatabase,
    run_id: str,
    parameters: RunParameters,
    *,
    asked_at: datetime | None = None,
) -> Plan:
    """Take the lock, record the run and decide what it has to do.

    A backfill that was asked for at `asked_at` has nothing to do when a run that began later has
    recomputed the same: so the runs of one backfill, which wait for each other, do it once.

    Repeated after a kill it keeps what the first attempt noted of the lake, so that the rows of
    the whole run are counted and nothing is taken for done that was only begun. A run that had
    ended and is begun again decides anew, by what it had completed. Raises `RunLocked` while
    another run goes on.
    """
    database.run_lock.hold(run_id)
    run = database.runs.start(run_id, parameters.given, keep=[COMPLETE])
    if VERSIONS not in run.notes:
        database.runs.note(run_id, VERSIONS, table_versions(Lake(settings)))
    plan = Plan(**run.notes[PLAN]) if PLAN in run.notes else None
    if plan is None or not plan.is_needed:  # decided anew: rows may have come since
        plan = _plan(settings, database, parameters, asked_at)
        database.runs.note(run_id, PLAN, asdict(plan))
    return plan


def check(
    settings: LakeSettings,
    database: ControlDatabase,
    run_id: str,
    gate: Callable[[Sequence[str] | None], Mapping[str, Verdict]],
    clock: Callable[[], datetime],
    *,
    is_final: bool,
) -> Mapping[str, Verdict]:
    """Ask the gate and note its verdicts; return those that were asked for.

    The final check is about the tenants whose training set would be published; an early one about
    the tenants with new data, so that bad data is told before hours of work. The gate is asked also
    where there are none of these, if rows of others failed a dbt test of the run.
    """
    database.run_lock.hold(run_id)
    plan = plan_of(database, run_id)
    wanted: Sequence[str] | None
    version = None
    if is_final:
        version = Lake(settings).built(TRAINING_DATA).version()
        wanted = list(compare_with_current(settings, clock(), plan.tenant_id).changed)
        before = database.runs.get(run_id).notes.get(PUBLICATION, {})
        database.runs.note(run_id, PUBLICATION, {**before, "is_done": False})
    else:
        wanted = plan.tenants
    failing = reasons(failed_tests(database.runs.get(run_id).notes))
    verdicts = gate(wanted) if wanted != [] or failing else {}
    database.runs.note(
        run_id,
        FINAL_GATE if is_final else EARLY_GATE,
        {
            "version": version,
            "tenants": {
                name: {"passed": v.passed, "report": _without_figures(v.report)}
                for name, v in verdicts.items()
            },
        },
    )
    return verdicts


def publish_checked(
    settings: LakeSettings,
    database: ControlDatabase,
    run_id: str,
    clock: Callable[[], datetime],
) -> Published:
    """Publish what changed and passed the run's final check; note what became of each tenant.

    Raises `EtaError` when the training data is not what was checked.
    """
    database.run_lock.hold(run_id)
    plan = plan_of(database, run_id)

    def recorded(settings: LakeSettings, tenants: Sequence[str]) -> Mapping[str, Verdict]:
        held = database.runs.get(run_id).notes.get(FINAL_GATE, {})
        version = Lake(settings).built(TRAINING_DATA).version()
        if held.get("version") != version or not set(tenants) <= held["tenants"].keys():
            raise EtaError(
                "the training data is not what this run has checked; nothing was published",
                remedy=f"check it again: `ETA_RUN_ID={run_id} eta runs check`",
            )
        return {name: Recorded(**held["tenants"][name]) for name in tenants}

    failing = reasons(failed_tests(database.runs.get(run_id).notes))
    done = publish_changed(settings, recorded, clock, tenant_id=plan.tenant_id, failing=failing)
    note_publication(database, run_id, done)
    return done


def note_publication(database: ControlDatabase, run_id: str, done: Published) -> None:
    """Note what became of each tenant; one that an earlier attempt published counts as new."""
    before = database.runs.get(run_id).notes.get(PUBLICATION, {})
    database.runs.note(
        run_id,
        PUBLICATION,
        {
            "new": {**before.get("new", {}), **{m.tenant_id: m.snapshot_id for m in done.new}},
            "unchanged": [m.tenant_id for m in done.unchanged],
            "refused": dict(done.refused),
            "is_done": True,
        },
    )


def end(
    settings: LakeSettings, database: ControlDatabase, run_id: str, *, is_success: bool
) -> State:
    """Note the rows of each model, give the lock back and end the run; return its state.

    The tenants' costs become a report. A run that another one has overtaken leaves that one's lock
    alone.
    """
    run = database.runs.get(run_id)
    before = run.notes.get(VERSIONS, {})
    lake = Lake(settings)
    database.runs.note(run_id, ROWS, rows_written(lake, before))
    reports = read_build_reports(settings.home_dir, since=run.started_at, limit=_MOST_REPORTS)
    mine = [report for report in reports if report.run_id == run_id]
    if mine:  # else nothing was built: the last report's sizes are those of now
        write_costs(lake.home, run.started_at, run_costs(lake, before, mine))
        write_kept(lake.home, kept_by_tenant(lake))
    is_done = run.notes.get(PUBLICATION, {}).get("is_done", False)
    is_needed = run.notes.get(PLAN, {}).get("is_needed", True)
    is_complete = is_success and (is_done or not is_needed)
    if is_complete:
        after = table_versions(Lake(settings))
        read = {name: before[name] for name in SOURCES if name in before}
        done = {"versions": {**after, **read}, "code": code_fingerprint(settings.project)}
        database.runs.note(run_id, COMPLETE, done)
    is_refused = bool(run.notes.get(PUBLICATION, {}).get("refused"))
    state: State = "failed" if not is_complete else "refused" if is_refused else "succeeded"
    database.runs.finish(run_id, state)
    database.run_lock.release(run_id)
    return state


def plan_of(database: ControlDatabase, run_id: str) -> Plan:
    """Return the plan that `begin` noted; raises `EtaError` before that."""
    held = database.runs.get(run_id).notes.get(PLAN)
    if held is None:
        raise EtaError(
            f"the run {run_id!r} was not begun", remedy="run its first step: `eta runs begin`"
        )
    return Plan(**held)


def newest_of_all_tenants(database: ControlDatabase) -> ModelRun | None:
    """Return the newest run that has begun and reads all that has come, for all tenants."""
    runs = database.runs.list(limit=_RUNS_LOOKED_AT)
    return next((run for run in runs if VERSIONS in run.notes and _is_of_all_tenants(run)), None)


def _is_of_all_tenants(run: ModelRun) -> bool:
    parameters = read_parameters(run.parameters)
    if parameters.variables or parameters.tenant_id:
        return False
    return not parameters.is_backfill or _is_backfill_of_all(run)


def _is_backfill_of_all(run: ModelRun) -> bool:
    """Whether a backfill recomputes all tenants: one that found one tenant, or none, does not."""
    plan = run.notes.get(PLAN, {})
    return bool(plan.get("is_needed")) and plan.get("tenant_id") is None


def _plan(
    settings: LakeSettings,
    database: ControlDatabase,
    parameters: RunParameters,
    asked_at: datetime | None,
) -> Plan:
    lake = Lake(settings)
    if parameters.is_backfill:
        plan = _backfill(lake, parameters)
        done = _recomputed_since(settings, database, parameters, plan, asked_at)
        return plan if done is None else replace(plan, is_needed=False, reason=done)
    narrowed = {"tenant_id": parameters.tenant_id} if parameters.tenant_id else {}
    variables = {**parameters.variables, **narrowed}
    last = _last_complete(database)
    since = {} if last is None else last["versions"]
    tenants = [parameters.tenant_id] if parameters.tenant_id else tenants_since(lake, since)
    if parameters.given:
        tenants = tenants if parameters.tenant_id else None
        reason = "asked for: " + ", ".join(f"{k}={v}" for k, v in parameters.given.items())
    elif last is None:
        reason = "no run was completed before"
    elif last["code"] != code_fingerprint(settings.project):
        reason, tenants = "the models are others than in the last run", None
    elif moved := sorted(dict(table_versions(lake).items() ^ since.items())):
        reason = f"changed since the last run: {', '.join(moved)}"
    else:
        return Plan(False, "nothing is new since the last run", [], variables)
    return Plan(True, reason, tenants, variables, parameters.full_refresh, parameters.tenant_id)


def _backfill(lake: Lake, parameters: RunParameters) -> Plan:
    """One tenant is recomputed alone, several by recomputing everything: the rows are the same."""
    assert parameters.start_date is not None
    found = tenants_received(lake, parameters.start_date, parameters.end_date)
    if parameters.tenant_id is not None:
        found = [name for name in found if name == parameters.tenant_id]
    days = f"{parameters.start_date} to {parameters.end_date or 'now'}"
    if not found:
        return Plan(False, f"no rows arrived from {days}", [], parameters.variables)
    one = found[0] if len(found) == 1 else None
    return Plan(
        True,
        f"{len(found):,} tenants sent rows from {days}",
        found,
        {**parameters.variables, **({"tenant_id": one} if one else {})},
        full_refresh=parameters.full_refresh or one is None,
        tenant_id=one,
    )


def _recomputed_since(
    settings: LakeSettings,
    database: ControlDatabase,
    parameters: RunParameters,
    plan: Plan,
    asked_at: datetime | None,
) -> str | None:
    """Say which complete run has recomputed what a backfill would, and began after `asked_at`."""
    if asked_at is None or not plan.is_needed:
        return None
    code = code_fingerprint(settings.project)
    for run in database.runs.list(limit=_RUNS_LOOKED_AT):
        if COMPLETE not in run.notes or run.started_at < asked_at:
            continue
        other, held = read_parameters(run.parameters), run.notes.get(PLAN, {})
        is_full = other.full_refresh or held.get("full_refresh", False)
        one = held.get("tenant_id") or other.tenant_id
        is_same = one is None or (one == plan.tenant_id and other.is_backfill)
        if (
            held.get("is_needed", True)
            and is_same
            and (is_full or (one is not None and not plan.full_refresh))
            and other.variables == parameters.variables
            and run.notes[COMPLETE]["code"] == code
        ):
            return f"{plan.reason}; {run.run_id} has recomputed them since this run was asked for"
    return None


def _last_complete(database: ControlDatabase) -> dict[str, Any] | None:
    """What the newest complete run left, if it was a normal one for all tenants.

    A backfill that recomputed one tenant, or found none, is passed over: it has not read the new
    rows of the others.
    """
    for run in database.runs.list(limit=_RUNS_LOOKED_AT):
        if COMPLETE in run.notes:
            parameters = read_parameters(run.parameters)
            if parameters.is_backfill and not _is_backfill_of_all(run):
                continue
            is_normal = not parameters.variables
            found: dict[str, Any] = run.notes[COMPLETE]
            return found if is_normal and "tenant_id" not in run.parameters else None
    return None


def _without_figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report's file holds all figures; the notes keep what is published and told."""
    return {name: value for name, value in report.items() if name != "figures"}
