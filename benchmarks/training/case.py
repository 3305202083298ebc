"""One lake from raw rows to figures, in a process of its own: `python -m benchmarks.training.case`.

The options come as JSON in the first argument, the figures go to standard output as JSON. Before
anything is measured a small tenant is built in the same JVM, so that start-up, class loading and
the first compilations stay out of the seconds.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from benchmarks.training.correctness import figures
from benchmarks.training.cross_join import seconds_of_cross_join
from benchmarks.training.duck import Peer
from benchmarks.training.generator import MIXED, Log
from benchmarks.training.memory import JavaProcess
from benchmarks.training.models import Run, median_run, run_models
from benchmarks.training.pairs import TENANT, run_peers
from benchmarks.training.raw import later_events, read_news, store, store_catalogue

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

WARM_TENANT: Final = "warm-up"
WARM_INTERACTIONS: Final = 20_000
CHANGED_USERS: Final = 0.01
IDLE_RUNS: Final = 3


@dataclass(frozen=True)
class Options:
    """What to measure. `news` is the news file's path; without it a log is generated."""

    folder: str
    interactions: int = 1_500_000
    news: str | None = None
    seed: int = 1
    pairs: int = 5
    checks: bool = True
    threads: int = 1
    cross_join: list[int] = field(default_factory=list)


def main() -> None:
    """Run one case and print its figures."""
    print(json.dumps(run_case(Options(**json.loads(sys.argv[1])))))


def run_case(options: Options) -> dict[str, Any]:
    """Measure a case in this process; its folder must not hold a lake yet."""
    home = Path(options.folder)
    os.environ.update(
        ETA_HOME=str(home),
        DBT_TARGET_PATH=str(home / "target"),
        DBT_LOG_PATH=str(home / "logs"),
    )
    from lakehouse.settings import LakeSettings
    from lakehouse.spark.session import open_local_session

    settings = LakeSettings()
    started = perf_counter()
    rows = store(settings, TENANT, _pieces(options))
    filled = perf_counter() - started
    warm_up = Log(WARM_INTERACTIONS, seed=0, types=tuple(MIXED.items()), rated_share=0.3)
    store(settings, WARM_TENANT, warm_up.pieces(), first_batch=9_000)
    store_catalogue(settings, WARM_TENANT, warm_up.catalogue())

    started = perf_counter()
    session = open_local_session(settings)
    opened = perf_counter() - started
    try:
        with JavaProcess().sampled() as java:
            run_models(settings, tenant_id=WARM_TENANT)
            peers = run_peers(settings, options.pairs, home / "duckdb", java)
            found = {
                "options": asdict(options),
                "interactions": rows,
                "seconds_to_fill_raw": round(filled, 2),
                "seconds_to_open_session": round(opened, 2),
                **measured_runs(settings, options, java),
                **peers,
            }
            if options.cross_join:
                found["cross_join_seconds"] = {
                    size: round(seconds_of_cross_join(session, home / "cross", size), 2)
                    for size in options.cross_join
                }
    finally:
        session.stop()
    return found


def measured_runs(settings: "LakeSettings", options: Options, java: JavaProcess) -> dict[str, Any]:
    """Full refresh, runs without a new row, and a run after some users changed."""
    threads = options.threads
    java.take()
    full = run_models(settings, full_refresh=True, java=java, threads=threads)
    full_use = java.take()
    found: dict[str, Any] = {}
    if options.checks:
        peer = Peer(settings, Path(options.folder) / "duckdb")
        found["correctness"] = figures(peer.connection, TENANT)
        peer.close()
    idle = median_run([run_models(settings, java=java, threads=threads) for _ in range(IDLE_RUNS)])
    store(settings, WARM_TENANT, [later_events(settings, WARM_TENANT, 0.1)], first_batch=9_500)
    run_models(settings, threads=threads)

    events = later_events(settings, TENANT, CHANGED_USERS)
    store(settings, TENANT, [events], first_batch=9_600)
    java.take()
    changed, changed_use = run_models(settings, java=java, threads=threads), java.take()
    part, whole = changed.less(idle), full.less(idle)
    return {
        "full_refresh": _figures(full, idle) | full_use,
        "no_new_rows": idle.report(),
        "users_changed": _figures(changed, idle)
        | changed_use
        | {
            "new_rows": events.height,
            "share_of_full_refresh": round(part.seconds / whole.seconds, 4),
            "share_of_seconds_by_model": _share(part.by_model, whole.by_model),
            "share_of_processor_seconds": _share(part.processor_by_model, whole.processor_by_model),
        },
        **found,
    }


def _pieces(options: Options) -> Iterator[pl.DataFrame]:
    if options.news is not None:
        return read_news(Path(options.news))
    return Log(options.interactions, options.seed).pieces()


def _share(part: Mapping[str, float], whole: Mapping[str, float]) -> float:
    return round(sum(part.values()) / sum(whole.values()), 4)


def _figures(run: Run, idle: Run) -> dict[str, Any]:
    """Return the figures of a run, the run without new rows subtracted."""
    return {"seconds_with_idle_run": round(run.seconds, 2), **run.less(idle).report()}


if __name__ == "__main__":
    main()
