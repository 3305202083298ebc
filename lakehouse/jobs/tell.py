"""Has jobs told to OpenLineage: what they did is gathered here, and only if anybody is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lakehouse.control.runs import ModelRun
from lakehouse.lineage.delivery import OUTCOMES, Lineage
from lakehouse.lineage.facts import Run
from lakehouse.settings import LakeSettings
from lakehouse.storage.build_reports import read_build_reports
from lakehouse.storage.lake import Lake
from lakehouse.training.lake_state import table_versions
from lakehouse.training.lineage.model_runs import begun_run, ended_runs, run_job
from lakehouse.training.lineage.sets import published
from lakehouse.training.manifest import Manifest
from lakehouse.training.run_metrics import LINEAGE

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase
    from lakehouse.privacy.worker import Progress

MOST_REPORTS: Final = 500
"""Reports of dbt commands that are looked through for those of a run: one per task of it."""


def tell_begin(lineage: Lineage, run: ModelRun) -> None:
    """Tell that a run of the models has begun."""
    lineage.tell_all(lambda: [begun_run(lineage.names, run)])


def tell_end(lineage: Lineage, settings: LakeSettings, run: ModelRun) -> None:
    """Tell what a run of the models that has ended wrote to each table, and how it ended."""

    def runs() -> Iterator[Run]:
        found = read_build_reports(settings.home_dir, since=run.started_at, limit=MOST_REPORTS)
        mine = [report for report in reversed(found) if report.run_id == run.run_id]
        return ended_runs(lineage.names, Lake(settings), run, mine)

    lineage.tell_all(runs)


def tell_published(
    lineage: Lineage, manifests: Sequence[Manifest], run: ModelRun | None = None
) -> None:
    """Tell of new snapshots, as parts of a run if it is given."""
    ended_at = datetime.now(UTC)

    def runs() -> Iterator[Run]:
        parent = None if run is None else run_job(lineage.names, run)
        for manifest in manifests:
            yield published(lineage.names, manifest, ended_at, parent)

    lineage.tell_all(runs)


def note_told(lineage: Lineage, database: ControlDatabase, run_id: str) -> None:
    """Wait until a run's events are told, and note what became of them, for the metrics."""
    if lineage.is_on:
        lineage.close()
        before = database.runs.get(run_id).notes.get(LINEAGE, {})
        told = {one: before.get(one, 0) + lineage.counts[one] for one in OUTCOMES}
        database.runs.note(run_id, LINEAGE, told)


@contextmanager
def erasures_told(lineage: Lineage, settings: LakeSettings) -> Iterator[list[Progress]]:
    """Tell of erasures: of each tenant of which any was completed, and the tables since changed.

    The block fills the list. How many people or rows were erased is not told, and of whom least.
    """
    begun_at = datetime.now(UTC)
    before: dict[str, int] = {}
    lake = Lake(settings)
    done: list[Progress] = []

    def look() -> Iterator[Run]:
        before.update(table_versions(lake))
        return iter(())

    lineage.tell_all(look)
    yield done

    def runs() -> Iterator[Run]:
        ended_at = datetime.now(UTC)
        after = table_versions(lake)
        for progress in done:
            if not progress.completed:
                continue
            tenant_id, names = progress.tenant_id, lineage.names
            job = names.job("erasure", begun_at.isoformat(), tenant_id)
            tables = [
                (names.table(name, before.get(name), tenant_id=tenant_id), version)
                for name, version in after.items()
                if before.get(name) != version
            ]
            outputs = [
                names.table(table.name, version, tenant_id=tenant_id) for table, version in tables
            ]
            yield Run(job, begun_at, ended_at, [table for table, _ in tables], outputs)

    lineage.tell_all(runs)
