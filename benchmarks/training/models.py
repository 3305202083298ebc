"""Runs the project's models through dbt and takes their seconds and their SQL from its results."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.training.memory import JavaProcess
from lakehouse.settings import LakeSettings
from lakehouse.training.build import run_dbt


@dataclass(frozen=True, slots=True)
class Model:
    """A model as dbt compiled it: Spark SQL of a full refresh, ephemeral parents inlined."""

    name: str
    table: str
    key: tuple[str, ...]
    sql: str


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of one dbt run: by the clock, and per model as dbt measured them.

    `processor_by_model` are the JVM's processor seconds: on a machine with other work they are the
    figure to trust. Empty when nobody watched the JVM.
    """

    seconds: float
    by_model: Mapping[str, float]
    processor_by_model: Mapping[str, float] = field(default_factory=dict)

    def less(self, idle: "Run") -> "Run":
        """Return this run less one that found no new row; nothing falls below zero."""
        return Run(
            max(0.0, self.seconds - idle.seconds),
            _less(self.by_model, idle.by_model),
            _less(self.processor_by_model, idle.processor_by_model),
        )

    def report(self) -> dict[str, object]:
        """Return the figures for JSON."""
        return {
            "seconds": round(self.seconds, 2),
            "by_model": _rounded(self.by_model),
            "processor_by_model": _rounded(self.processor_by_model),
        }


def run_models(
    settings: LakeSettings,
    *,
    full_refresh: bool = False,
    select: Sequence[str] = (),
    tenant_id: str | None = None,
    java: JavaProcess | None = None,
    threads: int = 1,
) -> Run:
    """Run models one after another, so that the seconds of one hold no other's work.

    With more `threads` they run as for users, and the seconds by model overlap. Raises
    `RuntimeError` naming the models that failed.
    """
    worked: dict[str, float] = {}
    started = perf_counter()
    outcome = run_dbt(
        settings,
        [
            *("run", "--threads", str(threads)),
            *(["--full-refresh"] if full_refresh else []),
            *(["--select", *select] if select else []),
            *(["--vars", json.dumps({"tenant_id": tenant_id})] if tenant_id else []),
        ],
        callbacks=[_watch(java, worked)] if java else [],
    )
    seconds = perf_counter() - started
    if not outcome.success:
        failed = [f"{r.node.name}: {r.message}" for r in outcome.result if r.status != "success"]
        raise RuntimeError("models failed: " + "; ".join(failed[:3]))
    return Run(seconds, {r.node.name: r.execution_time for r in outcome.result}, worked)


def _watch(java: JavaProcess, worked: dict[str, float]) -> Callable[[Any], None]:
    """Return a dbt callback that notes the JVM's work from each model's start to its end."""
    began = 0.0

    def receive(message: Any) -> None:
        nonlocal began
        if message.info.name == "NodeStart":
            began = java.processor_seconds()
        elif message.info.name == "NodeFinished":
            worked[message.data.node_info.node_name] = java.processor_seconds() - began

    return receive


def median_run(runs: Sequence[Run]) -> Run:
    """Return the medians of several runs of the same models."""
    return Run(
        median(run.seconds for run in runs),
        _medians([run.by_model for run in runs]),
        _medians([run.processor_by_model for run in runs]),
    )


def _less(some: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
    return {name: max(0.0, seconds - others.get(name, 0.0)) for name, seconds in some.items()}


def _medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: median(run[name] for run in runs) for name in runs[0]}


def _rounded(by_model: Mapping[str, float]) -> dict[str, float]:
    return {name: round(seconds, 2) for name, seconds in by_model.items()}


def compiled(
    settings: LakeSettings, select: Sequence[str], tenant_id: str | None = None
) -> dict[str, Model]:
    """Return the selected models as a full refresh (of one tenant, if given) would run them.

    In the order in which they depend on each other, ephemeral ones left out.
    """
    wanted = json.dumps({"rebuild": True} | ({"tenant_id": tenant_id} if tenant_id else {}))
    outcome = run_dbt(settings, ["compile", "--vars", wanted, "--select", *select])
    if not outcome.success:
        raise RuntimeError("the models do not compile: run `dbt compile` to see why")
    nodes = [result.node for result in outcome.result]
    return {
        node.name: Model(
            name=node.name,
            table=f"{node.schema}.{node.alias}",
            key=tuple(node.config.unique_key),
            sql=node.compiled_code,
        )
        for node in nodes
        if node.resource_type == "model" and node.config.materialized == "delta_merge"
    }
