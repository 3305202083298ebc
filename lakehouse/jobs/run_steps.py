"""The steps of a scheduler's run as one process each takes them: lock, work, notes, metrics."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lakehouse.control.database import ControlDatabase
from lakehouse.control.failed_tests import failed_tests
from lakehouse.control.run_lock import RunLocked
from lakehouse.control.runs import State
from lakehouse.jobs.measure import measure_afterwards
from lakehouse.jobs.tell import note_told, tell_begin, tell_end, tell_published
from lakehouse.lineage.delivery import lineage_of
from lakehouse.quality.gate import run_gate
from lakehouse.settings import LakeSettings
from lakehouse.spark.session import opened_session
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.training import run_steps
from lakehouse.training.prepare import Verdict
from lakehouse.training.project_variables import project_variables
from lakehouse.training.run_metrics import write_metrics
from lakehouse.training.run_parameters import RunParameters
from lakehouse.training.writing import show_tenant_settings
from lakehouse.waiting import retry_for

_POLL_SECONDS: Final = 5.0
_RUNS_IN_METRICS: Final = 50


def begin(
    settings: LakeSettings,
    database: ControlDatabase,
    run_id: str,
    parameters: RunParameters,
    *,
    wait_minutes: float = 0,
    asked_at: datetime | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> run_steps.Plan:
    """Take the lock, make the lake known to Spark and decide what the run has to do.

    Waits for another run to end; raises `RunLocked` when it does not in time.
    """
    retry_for(
        lambda: database.run_lock.hold(run_id),
        RunLocked,
        60 * wait_minutes,
        every=_POLL_SECONDS,
        on_error=lambda locked: on_step(f"Waiting: {locked}".partition("\n")[0]),
    )
    ensure_tables(Lake(settings))
    if settings.spark_target == "connect":
        with opened_session(settings):  # a server then knows every table of a local lake
            pass
    show_tenant_settings(Lake(settings), database)
    plan = run_steps.begin(settings, database, run_id, parameters, asked_at=asked_at)
    with lineage_of(settings) as lineage:
        tell_begin(lineage, database.runs.get(run_id))
        note_told(lineage, database, run_id)
    _write_metrics(settings, database)  # one that was killed is told now
    return plan


def check(
    settings: LakeSettings, database: ControlDatabase, run_id: str, *, is_early: bool = False
) -> Mapping[str, Verdict]:
    """Ask the quality gate about the run's tenants and note the verdicts.

    Tenants whose rows failed a dbt test of the run do not pass. Early: of the raw and staged rows
    alone, before hours of work.
    """
    with database.run_lock.kept(run_id):
        how: dict[str, Any] = {"failed": list(failed_tests(database.runs.get(run_id).notes))}
        if is_early:
            plan = run_steps.plan_of(database, run_id)
            variables = {**project_variables(settings), **plan.variables}
            how |= {"layers": ("raw", "staging"), "parameters": variables}

        def gate(tenants: Sequence[str] | None) -> Any:
            return run_gate(settings, tenants, **how)

        return run_steps.check(
            settings, database, run_id, gate, lambda: datetime.now(UTC), is_final=not is_early
        )


def publish(settings: LakeSettings, database: ControlDatabase, run_id: str) -> dict[str, Any]:
    """Publish what changed and passed the run's check; return what became of each tenant."""
    with database.run_lock.kept(run_id):
        published = run_steps.publish_checked(settings, database, run_id, lambda: datetime.now(UTC))
        with lineage_of(settings) as lineage:
            tell_published(lineage, published.new, database.runs.get(run_id))
            note_told(lineage, database, run_id)
        done: dict[str, Any] = database.runs.get(run_id).notes[run_steps.PUBLICATION]
        return done


def end(
    settings: LakeSettings,
    database: ControlDatabase,
    run_id: str,
    *,
    is_success: bool,
    on_step: Callable[[str], None] = lambda _: None,
) -> tuple[State, Path]:
    """Note the rows of each model, free the lock, end the run; write its metrics and quality."""
    state = run_steps.end(settings, database, run_id, is_success=is_success)
    with lineage_of(settings) as lineage:
        tell_end(lineage, settings, database.runs.get(run_id))
        note_told(lineage, database, run_id)
    path = _write_metrics(settings, database)
    measure_afterwards(settings, run_id, on_step=on_step)
    return state, path


def note_late(
    settings: LakeSettings, database: ControlDatabase, run_id: str, deadline: datetime
) -> bool:
    """Note that a run missed its deadline, for the metrics; False if it had ended in time."""
    ended_at = database.runs.get(run_id).finished_at
    if ended_at is not None and ended_at <= deadline:
        return False
    database.runs.note(run_id, run_steps.LATE, deadline.isoformat())
    _write_metrics(settings, database)
    return True


def _write_metrics(settings: LakeSettings, database: ControlDatabase) -> Path:
    return write_metrics(Lake(settings), database.runs.list(limit=_RUNS_IN_METRICS))
