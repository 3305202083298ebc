"""Runs the project's models through dbt and takes their seconds and their SQL from its results."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

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
    """Seconds of one dbt run: by the clock, and per model as dbt measured them."""

    seconds: float
    by_model: Mapping[str, float]

    def less(self, idle: "Run") -> "Run":
        """Return this run less one that found no new row; nothing falls below zero."""
        return Run(
            max(0.0, self.seconds - idle.seconds),
            {
                name: max(0.0, seconds - idle.by_model.get(name, 0.0))
                for name, seconds in self.by_model.items()
            },
        )

    def report(self) -> dict[str, object]:
        """Return the figures for JSON."""
        return {
            "seconds": round(self.seconds, 2),
            "by_model": {name: round(seconds, 2) for name, seconds in self.by_model.items()},
        }


def run_models(
    settings: LakeSettings,
    *,
    full_refresh: bool = False,
    select: Sequence[str] = (),
    tenant_id: str | None = None,
) -> Run:
    """Run models one after another, so that the seconds of one hold no other's work.

    Raises `RuntimeError` naming the models that failed.
    """
    started = perf_counter()
    outcome = run_dbt(
        settings,
        [
            *("run", "--threads", "1"),
            *(["--full-refresh"] if full_refresh else []),
            *(["--select", *select] if select else []),
            *(["--vars", json.dumps({"tenant_id": tenant_id})] if tenant_id else []),
        ],
    )
    seconds = perf_counter() - started
    if not outcome.success:
        failed = [f"{r.node.name}: {r.message}" for r in outcome.result if r.status != "success"]
        raise RuntimeError("models failed: " + "; ".join(failed[:3]))
    return Run(seconds, {r.node.name: r.execution_time for r in outcome.result})


def median_run(runs: Sequence[Run]) -> Run:
    """Return the medians of several runs of the same models."""
    return Run(
        median(run.seconds for run in runs),
        {name: median(run.by_model[name] for run in runs) for name in runs[0].by_model},
    )


def compiled(
    settings: LakeSettings, select: Sequence[str], tenant_id: str | None = None
) -> dict[str, Model]:
    """Return the selected models as a full refresh (of one tenant, if given) would run them.

    In the order in which they depend on each other, ephemeral ones left out.
    """
    wanted = json.dumps({"rebuild": True, "tenant_id": tenant_id})
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
