"""`python -m benchmarks.platform.tenants`: what 100 and 1,000 tenants cost where no model runs.

For each size a lake is made with rows, ledger and measures of every tenant, of which `--active`
have sent something since the last measurement. Each part is taken once to warm up and `--times`
again: seconds are the least of these, processor seconds of the same try. The peer of a size is the
smaller one: `growth` is the exponent g of seconds ~ tenants^g between the two, 1 where it grows as
the tenants do. Prints JSON. `--dags` adds the time in which Airflow reads the DAGs, with the Python
of its environment.
"""

import argparse
import contextlib
import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter, process_time, sleep, time
from typing import Any, Final

import httpx
import psutil

from benchmarks.platform.lake import Made, make_lake
from lakehouse.cli.status import status
from lakehouse.control.database import ControlDatabase
from lakehouse.dev.servers import free_port
from lakehouse.quality.exporter import page
from lakehouse.quality.history import Reader
from lakehouse.quality.metrics import QualityMetrics
from lakehouse.quality.outcomes import Figure, verdict
from lakehouse.quality.refresh import refresh
from lakehouse.quality.report import new_report_path, write_report
from lakehouse.quality.rules import tenant_rules
from lakehouse.quality.soda import Finding
from lakehouse.quality.telling import outcomes
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.training.tenant_settings import publish_tenant_settings

WANTED: Final = 1.1
"""The largest growth that is not a fault."""
METRICS_TOKEN: Final = "metrics-token"
OPERATOR_TOKEN: Final = "operator-token"
"""Of a service that lives for this measurement."""
_CHECKS: Final = 40
_HUNDREDTH: Final = 0.01
"""Seconds in which the system tells what another process took."""
_READ_DAGS: Final = """
import sys, time
from airflow.dag_processing.dagbag import DagBag
began, busy = time.perf_counter(), time.process_time()
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
print(time.perf_counter() - began, time.process_time() - busy)
"""

Seconds = dict[str, float]


def main() -> None:
    """Run and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=(100, 1_000))
    parser.add_argument("--active", type=float, default=0.01, help="share that has news")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--dags", type=Path, help="Python of Airflow's environment")
    options = parser.parse_args()
    found: dict[int, dict[str, Seconds]] = {}
    for tenants in options.sizes:
        with TemporaryDirectory(prefix="eta-tenants-") as folder:
            made = make_lake(Path(folder), tenants, options.active)
            found[tenants] = _parts(made, options.times)
            found[tenants] |= _service(made, options.times)
            if options.dags:
                found[tenants]["Airflow reads the DAGs"] = _dags(made, options.dags)
    print(json.dumps(_report(found, *options.sizes), indent=2))


def _report(found: dict[int, dict[str, Seconds]], small: int, large: int) -> dict[str, Any]:
    parts = {}
    for name, seconds in found[small].items():
        many = found[large][name]
        growth = math.log(many["processor"] / seconds["processor"]) / math.log(large / small)
        parts[name] = {
            str(small): seconds,
            str(large): many,
            "growth": round(growth, 2),
            "is_within": growth <= WANTED,
        }
    return {"sizes": [small, large], "wanted_growth": WANTED, "parts": parts}


def _parts(made: Made, times: int) -> dict[str, Seconds]:
    lake = Lake(made.settings)
    database = ControlDatabase.open(made.settings.control_url)
    metrics = QualityMetrics(lake, most_tenants=made.tenants)
    reader = Reader(lake, database)
    findings = _findings(made.names)
    try:
        return {
            "control database: all tenants": _least(database.tenants.list, times),
            "control database: all settings": _least(database.tenants.all_settings, times),
            "eta status": _least(lambda: _status(made), times),
            "measuring what came": _least(lambda: _measure(made), times, before=made.send),
            "page of metrics, nothing new": _least(lambda: page(metrics.collect()), times),
            "page of metrics, first": _least(
                lambda: page(QualityMetrics(lake, most_tenants=made.tenants).collect()), times
            ),
            "dashboard: all tenants": _least(lambda: reader.overview(None), times),
            "dashboard: one tenant": _least(lambda: reader.report(made.names[0]), times),
            "ledger check of two days": _least(
                lambda: check_ledger(lake, since=(datetime.now(UTC) - timedelta(days=2)).date()),
                times,
            ),
            "gate: rules of all tenants": _least(lambda: tenant_rules(made.settings), times),
            "gate: verdicts and report, all fail": _least(lambda: _verdicts(made, findings), times),
            "models are told the settings": _least(
                lambda: publish_tenant_settings(
                    lake, database.tenants.all_settings(), datetime.now(UTC)
                ),
                times,
            ),
        }
    finally:
        database.close()


def _status(made: Made) -> None:
    os.environ["ETA_HOME"] = str(made.settings.home_dir)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status(None)


def _measure(made: Made) -> None:
    """Measure what the active tenants have sent."""
    refresh(Lake(made.settings), f"benchmark-{datetime.now(UTC).timestamp()}")


def _findings(names: tuple[str, ...]) -> list[Finding]:
    """What Soda hands over at its worst: every check failed for every tenant."""
    texts = {
        "measured": "rows",
        "expected": "no row",
        "sentence": "{tenant_id} has {rows} rows too many.",
        "see": "select * from t where tenant_id = '{tenant_id}'",
    }
    rows: tuple[dict[str, Figure], ...] = tuple({"tenant_id": n, "rows": 1} for n in names)
    return [
        Finding(f"check_{number}", "raw", "raw.interactions", number % 2 == 0, texts, rows)
        for number in range(_CHECKS)
    ]


def _verdicts(made: Made, findings: list[Finding]) -> None:
    now = datetime.now(UTC)
    told = outcomes(findings, made.names, {})
    results = {name: verdict(name, *said, {}) for name, said in told.items()}
    # beside the reports that the dashboard reads, so that it finds the same at every try
    path = new_report_path(made.settings.home_dir / "other", now)
    write_report(path, results, checked_at=now, seconds=0.0)


def _service(made: Made, times: int) -> dict[str, Seconds]:
    """Start the service and ask it, as a client; processor seconds are those of its process."""
    began = perf_counter()
    with _running(made) as (url, process):
        started = {"wall": perf_counter() - began, "processor": _busy(process)}
        operator = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
        scraper = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        client = {"Authorization": f"Bearer {made.key}"}
        event = {"user_id": "u", "item_id": "i", "interaction_type": "click"}

        def ask(path: str, headers: dict[str, str]) -> Callable[[], object]:
            return lambda: httpx.get(f"{url}{path}", headers=headers, timeout=60).raise_for_status()

        def send() -> object:
            body = [{**event, "timestamp": round(time() * 1_000)}]
            answer = httpx.post(f"{url}/v1/events", json=body, headers=client, timeout=60)
            return answer.raise_for_status()

        own = f"/v1/tenants/{made.names[0]}"
        return {
            "service: from its start until it is ready": _rounded(started, _HUNDREDTH),
            "service: an event": _least(send, times, process),
            "service: a tenant's batches": _least(
                ask(f"{own}/ingest/batches", client), times, process
            ),
            "service: metrics": _least(ask("/metrics", scraper), times, process),
            "service: the dashboard's document of all": _least(
                ask("/v1/quality", operator),
                min(times, 3),
                process,
                before=lambda: sleep(5.1),  # an answer stands for so long
            ),
        }


@contextlib.contextmanager
def _running(made: Made) -> Iterator[tuple[str, psutil.Process]]:
    port = free_port()
    environment = {
        **os.environ,
        "ETA_HOME": str(made.settings.home_dir),
        "ETA_SERVICE_METRICS_TOKEN": METRICS_TOKEN,
        "ETA_SERVICE_OPERATOR_TOKEN": OPERATOR_TOKEN,
    }
    command = [sys.executable, "-m", "ingest_service", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until = monotonic() + 240
            while not _is_ready(url):
                if process.poll() is not None or monotonic() > until:
                    raise SystemExit("the service did not become ready")
                sleep(0.05)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=5).is_success
    except httpx.TransportError:
        return False


def _dags(made: Made, python: Path) -> Seconds:
    """Read the DAGs in a process of Airflow's environment; without the imports of Airflow."""
    home, project = made.settings.home_dir, Path(__file__).resolve().parents[2]
    dags = project / "dags"
    environment = {
        **os.environ,
        "ETA_HOME": str(home),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__COSMOS__CACHE_DIR": str(home / "cosmos"),
        "PYTHONPATH": str(dags),
    }
    subprocess.run([sys.executable, "-m", "lakehouse.cli", "dags", "build"], check=True)
    done = subprocess.run(
        [python, "-c", _READ_DAGS, dags],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    wall, processor = map(float, done.stdout.split()[-2:])
    return _rounded({"wall": wall, "processor": processor})


def _least(
    work: Callable[[], object],
    times: int,
    process: psutil.Process | None = None,
    before: Callable[[], object] = lambda: None,
) -> Seconds:
    work()
    found = []
    for _ in range(times):
        before()
        busy, began = _busy(process), perf_counter()
        work()
        found.append({"wall": perf_counter() - began, "processor": _busy(process) - busy})
    least = min(found, key=lambda one: one["wall"])
    return _rounded(least, 0.0001 if process is None else _HUNDREDTH)


def _busy(process: psutil.Process | None) -> float:
    if process is None:
        return process_time()
    times = process.cpu_times()
    return float(times.user + times.system)


def _rounded(seconds: Seconds, least: float = 0.0001) -> Seconds:
    """Round seconds; `least`: the smallest processor time that can be told from none."""
    wall, processor = (round(seconds[name], 4) for name in ("wall", "processor"))
    return {"wall": wall, "processor": max(processor, least)}


if __name__ == "__main__":
    main()
