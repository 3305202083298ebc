"""`python -m benchmarks.events`: events per second in batches of 100, beside the peer.

Three parts, each a ratio within one run: the rate at full load beside a handler that only parses
the same body; how soon an answer is durable at half that load; and how far a tenant at ten times
its quota moves another one's answers (median of pairs). Needs `wrk`. JSON on stdout.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.events.load import Load, Shape, result, run, start
from benchmarks.ingest.service import Service, running_service
from lakehouse.contracts.tenant import Quotas, TenantSettings
from lakehouse.control.database import ControlDatabase

EVENTS: Final = 100
CONNECTIONS: Final = 192
LOUD_QUOTA: Final = 1_000
LOUD_CONNECTIONS: Final = 96
TIMES: Final = 11
"""Aimed at, so that the loud tenant sends ten times its quota at least."""
QUIET: Final = Shape(connections=4, seconds=6, pause_ms=50)


def main() -> int:
    """Run, print what it measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8, help="of one run at full load")
    parser.add_argument("--part", choices=["rate", "neighbour"], help="only one part")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with running_service(home) as service, _peer(Path(folder)) as peer:
            key = _tenant(home, "full", Quotas(events_per_second=None))
            found: dict[str, Any] = {}
            if options.part != "neighbour":
                found |= _rate(service, peer, key, options.pairs, options.seconds)
            if options.part != "rate":
                found |= _neighbour(service, home, key, options.pairs)
    print(json.dumps(found, indent=2))
    return 0


def _rate(service: Service, peer: Service, key: str, pairs: int, seconds: int) -> dict[str, Any]:
    shape = Shape(CONNECTIONS, seconds, EVENTS)
    run(service.url, key, Shape(CONNECTIONS, 3, EVENTS))
    ours, theirs = list[Load](), list[Load]()
    cpu = [0.0, 0.0]
    for _ in range(pairs):
        before = peer.cpu_seconds, service.cpu_seconds
        theirs.append(run(peer.url, key, shape))
        ours.append(run(service.url, key, shape))
        cpu[0] += peer.cpu_seconds - before[0]
        cpu[1] += service.cpu_seconds - before[1]
    (parsed_ms, parsed_load_ms), (stored_ms, stored_load_ms) = (
        [
            1000 * spent / (seconds * sum(load.requests_per_second for load in loads))
            for spent in (used, sum(load.cpu_seconds for load in loads))
        ]
        for used, loads in zip(cpu, (theirs, ours), strict=True)
    )
    rate = median(load.requests_per_second for load in ours)
    parsed = median(load.requests_per_second for load in theirs)
    half = rate / 2
    pause = max(0, round(CONNECTIONS / half * 1000 - 150))
    calm = run(service.url, key, Shape(CONNECTIONS, 2 * seconds, EVENTS, pause))
    return {
        "events_per_second": round(rate * EVENTS),
        "events_per_second_parsed_only": round(parsed * EVENTS),
        "ratio": round(rate / parsed, 3),
        "cpu_ms_per_request": round(stored_ms, 3),
        "cpu_ms_per_request_parsed_only": round(parsed_ms, 3),
        "cpu_ms_per_request_of_the_load": [round(stored_load_ms, 3), round(parsed_load_ms, 3)],
        "full_load": _figures(ours),
        "half_load": {"events_per_second": round(calm.requests_per_second * EVENTS)} | asdict(calm),
        "peak_rss_mb": round(service.peak_rss_mb),
    }


def _neighbour(service: Service, home: Path, key: str, pairs: int) -> dict[str, Any]:
    """A quiet tenant alone, then beside one that sends ten times what it may."""
    loud_key = _tenant(home, "loud", Quotas(events_per_second=LOUD_QUOTA))
    # Of many connections each waits long, so the time of an answer hardly counts.
    wanted = TIMES * LOUD_QUOTA / EVENTS
    pause = round(LOUD_CONNECTIONS / wanted * 1000)
    loud = Shape(LOUD_CONNECTIONS, QUIET.seconds + 2, EVENTS, pause)
    run(service.url, key, QUIET)
    alone, beside, sent = list[Load](), list[Load](), list[Load]()
    for _ in range(pairs):
        alone.append(run(service.url, key, QUIET))
        process = start(service.url, loud_key, loud)
        time.sleep(1)
        beside.append(run(service.url, key, QUIET))
        sent.append(result(process))
    ratios = {
        name: median(
            getattr(loud_one, name) / getattr(calm_one, name)
            for calm_one, loud_one in zip(alone, beside, strict=True)
        )
        for name in ("p50_ms", "p99_ms")
    }
    return {
        "neighbour": {
            "p50_ratio": round(ratios["p50_ms"], 3),
            "p99_ratio": round(ratios["p99_ms"], 3),
            "alone": _figures(alone),
            "beside": _figures(beside),
            "loud": _figures(sent)
            | {
                "quota_events_per_second": LOUD_QUOTA,
                "times_its_quota": round(min(_times(load) for load in sent), 1),
            },
        }
    }


def _times(load: Load) -> float:
    return load.requests_per_second * EVENTS / LOUD_QUOTA


def _figures(loads: list[Load]) -> dict[str, float]:
    return {
        "requests_per_second": round(median(load.requests_per_second for load in loads), 1),
        "p50_ms": round(median(load.p50_ms for load in loads), 1),
        "p99_ms": round(median(load.p99_ms for load in loads), 1),
        "refused": sum(load.refused for load in loads),
    }


def _tenant(home: Path, tenant_id: str, quotas: Quotas) -> str:
    database = ControlDatabase.open(f"sqlite:///{home / 'control.db'}")
    database.tenants.add(tenant_id, settings=TenantSettings(quotas=quotas))
    key = database.keys.create(tenant_id).secret
    database.close()
    return key


@contextmanager
def _peer(folder: Path) -> Iterator[Service]:
    port_file = folder / "peer"
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.events.peer", str(port_file)])
    try:
        while not port_file.exists() or not port_file.read_text().endswith("\n"):
            if process.poll() is not None:
                raise SystemExit("the peer did not start")
            time.sleep(0.05)
        yield Service(f"http://127.0.0.1:{port_file.read_text().strip()}", "", process.pid)
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    sys.exit(main())
