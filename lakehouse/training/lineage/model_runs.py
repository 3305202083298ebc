"""What is told of a run of the models: the run itself, and each table that it has written.

All of it stands in the lake and the run's notes already: a table's properties say which versions of
which tables its model has read, its log what was written and when. dbt is not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lakehouse.control.runs import ModelRun
from lakehouse.lineage.facts import Dataset, Job, Names, Run, fields_of
from lakehouse.storage.build_reports import BuildReport, NodeResult
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import model_tables
from lakehouse.training.lake_state import BUILT, SOURCES
from lakehouse.training.run_steps import ROWS, VERSIONS

if TYPE_CHECKING:
    from deltalake import DeltaTable

JOB: Final = "models"
_READ: Final = "eta.read."
_FAILED: Final = frozenset({"error", "fail", "runtime error"})
_BYTES: Final = ("numOutputBytes", "numTargetBytesAdded")
_FILES: Final = ("numFiles", "numTargetFilesAdded", "num_added_files")


def run_job(names: Names, run: ModelRun) -> Job:
    """Return the run as others name it: a run that was begun again after its end is another one."""
    return names.job(JOB, f"{run.run_id} {run.started_at.isoformat()}")


def begun_run(names: Names, run: ModelRun) -> Run:
    """Return what is told when a run begins."""
    return Run(run_job(names, run), run.started_at, tags=_tags(run))


def ended_runs(
    names: Names, lake: Lake, run: ModelRun, reports: Sequence[BuildReport]
) -> Iterator[Run]:
    """Yield what is told when a run has ended: its models in the order of their commits, and it.

    A table whose version is the one of before is left out; a model that failed is not. `reports`
    are those of the run's dbt commands.
    """
    before = run.notes.get(VERSIONS, {})
    parent = run_job(names, run)
    tenant_id = run.parameters.get("tenant_id")
    nodes = {node.name: (node, report) for report in reports for node in report.nodes}
    found = []
    for name, table in model_tables(lake, BUILT):
        node, _ = nodes.get(name.partition(".")[2], (None, None))
        is_failed = node is not None and node.status in _FAILED
        if before.get(name) != table.version() and not is_failed:
            rows = run.notes.get(ROWS, {}).get(name, {})
            since = before.get(name, -1)
            found.append(_written(names, parent, name, table, since, rows, node, tenant_id))
    yield from sorted(found, key=lambda told: told.ended_at or told.started_at)
    yield from _failures(names, parent, nodes.values(), tenant_id)
    yield _whole(names, run, parent, [dataset for told in found for dataset in told.outputs])


def _whole(names: Names, run: ModelRun, job: Job, outputs: Sequence[Dataset]) -> Run:
    versions = run.notes.get(VERSIONS, {})
    tenant_id = run.parameters.get("tenant_id")
    return Run(
        job,
        run.started_at,
        run.finished_at or datetime.now(UTC),
        [
            names.table(source, versions[source], tenant_id=tenant_id)
            for source in SOURCES
            if source in versions
        ],
        outputs,
        "the run of the models failed" if run.state == "failed" else None,
        tags=_tags(run),
        is_begun=True,
    )


def _written(
    names: Names,
    parent: Job,
    name: str,
    table: DeltaTable,
    before: int,
    rows: Mapping[str, Any],
    node: NodeResult | None,
    tenant_id: str | None,
) -> Run:
    behind = table.version() - before
    history = table.history(behind if 0 < behind <= table.version() + 1 else 1)
    ended_at = datetime.fromtimestamp(history[0]["timestamp"] / 1_000, UTC)
    seconds = node.seconds if node is not None else float(rows.get("seconds", 0))
    metrics = [commit.get("operationMetrics", {}) for commit in history]
    written = rows.get("inserted", 0) + rows.get("updated", 0) if rows else None
    return Run(
        _model_job(names, parent, name),
        ended_at - timedelta(seconds=seconds),
        ended_at,
        _inputs(names, table, tenant_id),
        [
            names.table(
                name,
                table.version(),
                tenant_id=tenant_id,
                fields=fields_of(table),
                rows=written,
                size=_sum(metrics, _BYTES),
                files=_sum(metrics, _FILES),
            )
        ],
        parent=parent,
    )


def _inputs(names: Names, table: DeltaTable, tenant_id: str | None) -> list[Dataset]:
    """Return what the model has read. A run of one tenant does not record the versions."""
    properties = table.metadata().configuration
    read = {
        name.removeprefix(_READ): int(value.partition("@")[0])
        for name, value in sorted(properties.items())
        if name.startswith(_READ)
    }
    return [
        names.table(name, version if tenant_id is None else None, tenant_id=tenant_id)
        for name, version in read.items()
    ]


def _failures(
    names: Names,
    parent: Job,
    nodes: Iterable[tuple[NodeResult, BuildReport]],
    tenant_id: str | None,
) -> Iterator[Run]:
    """Yield the models that failed. What dbt says of it may quote data, and is not told."""
    for node, report in nodes:
        if node.kind == "model" and node.status in _FAILED:
            ended_at = report.started_at + timedelta(seconds=report.seconds)
            yield Run(
                _model_job(names, parent, node.name),
                ended_at - timedelta(seconds=node.seconds),
                ended_at,
                error=f"the model {node.name} failed: dbt's log says why",
                parent=parent,
                tags=None if tenant_id is None else {"tenant_id": tenant_id},
            )


def _model_job(names: Names, parent: Job, name: str) -> Job:
    model = name.rpartition(".")[2]
    return names.job(f"model.{model}", parent.run_id)


def _tags(run: ModelRun) -> dict[str, str]:
    tags = {"run_id": run.run_id}
    if run.state != "running":
        tags["state"] = run.state
    return tags


def _sum(commits: Iterable[Mapping[str, Any]], names: Sequence[str]) -> int | None:
    """Return the sum of what commits say under one of these names; None if none says it."""
    found = [int(c[name]) for c in commits for name in names if c.get(name) is not None]
    return sum(found) if found else None
