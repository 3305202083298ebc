"""The newest runs as Prometheus metrics, in a file for a textfile collector.

A run is over when somebody looks, so nothing can be scraped from it. No label names a tenant.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from lakehouse.control.runs import FINAL_RUN_STATES, INTERRUPTED, ModelRun
from lakehouse.storage.lake import Lake
from lakehouse.storage.whole_files import write_whole
from lakehouse.training.run_steps import LATE, PUBLICATION, ROWS

RUN_GAUGES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "eta_run_last_end_timestamp_seconds": (
        "End of the newest run that ended in this state (interrupted: last seen), s since 1970.",
        ("state",),
    ),
    "eta_run_seconds": ("Duration of the last run.", ()),
    "eta_run_late": ("1 if the last run missed its deadline.", ()),
    "eta_run_tenants": (
        "Tenants of the last run, by what became of their training set.",
        ("outcome",),
    ),
    "eta_run_model_rows_written": (
        "Rows that the last run wrote, by model and change.",
        ("model", "change"),
    ),
    "eta_run_model_commit_seconds": (
        "Seconds of the model's commits in the last run.",
        ("model",),
    ),
    "eta_model_rows": ("Rows of the model's table now.", ("model",)),
    "eta_run_lineage_runs": (
        "Runs that the last run was to tell to OpenLineage, by what became of that.",
        ("outcome",),
    ),
}
"""Text and labels of every metric of the runs, by its name."""

LINEAGE: Final = "lineage"
"""The note of a run that counts what was told to OpenLineage."""


def exposition(runs: Sequence[ModelRun]) -> str:
    """Return the metrics of `runs`, which are newest first, as Prometheus reads them."""
    registry = CollectorRegistry()
    ended = [run for run in runs if run.finished_at is not None]
    _states(registry, ended)
    whole = [run for run in ended if run.state in FINAL_RUN_STATES]
    if whole:
        _last_run(registry, whole[0])
    return generate_latest(registry).decode()


def write_metrics(lake: Lake, runs: Sequence[ModelRun]) -> Path:
    """Write `{home}/metrics/eta_runs.prom`, whole or not at all; return its path."""
    path = lake.home / "metrics" / "eta_runs.prom"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, exposition(runs))  # a collector never reads a part of it
    return path


def _gauge(registry: CollectorRegistry, name: str) -> Gauge:
    text, labels = RUN_GAUGES[name]
    return Gauge(name, text, labels, registry=registry)


def _states(registry: CollectorRegistry, ended: Sequence[ModelRun]) -> None:
    newest = _gauge(registry, "eta_run_last_end_timestamp_seconds")
    for state in sorted({*FINAL_RUN_STATES, INTERRUPTED}):
        ends = [run.finished_at for run in ended if run.state == state and run.finished_at]
        if ends:
            newest.labels(state).set(max(ends).timestamp())


def _last_run(registry: CollectorRegistry, run: ModelRun) -> None:
    assert run.finished_at is not None
    seconds = (run.finished_at - run.started_at).total_seconds()
    _gauge(registry, "eta_run_seconds").set(seconds)
    _gauge(registry, "eta_run_late").set(LATE in run.notes)
    tenants = _gauge(registry, "eta_run_tenants")
    for outcome in ("new", "unchanged", "refused"):
        tenants.labels(outcome).set(len(run.notes.get(PUBLICATION, {}).get(outcome, ())))
    changed = _gauge(registry, "eta_run_model_rows_written")
    commit_seconds = _gauge(registry, "eta_run_model_commit_seconds")
    rows = _gauge(registry, "eta_model_rows")
    for model, counted in run.notes.get(ROWS, {}).items():
        for change in ("inserted", "updated", "deleted"):
            changed.labels(model, change).set(counted[change])
        commit_seconds.labels(model).set(counted["seconds"])
        rows.labels(model).set(counted["rows"])
    told = run.notes.get(LINEAGE)
    if told:
        lineage = _gauge(registry, "eta_run_lineage_runs")
        for outcome, count in told.items():
            lineage.labels(outcome).set(count)
