"""What it costs to sync before an answer: `python -m benchmarks.sync_cost`.

Events in batches of 100 over HTTP to the real service, with `ETA_SYNC` on and off in turns (five
pairs): events per second and the p99 of an answer at full load of so many connections, and the p50
of one sender alone. The two services run at the same time, and only one of them has work. JSON.
"""

import argparse
import http.client
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Final
from urllib.parse import urlsplit

from benchmarks.ingest.service import Service, running_service

EVENTS: Final = 100
_runs: Final = count()


def main() -> int:
    """Run, print what it measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6, help="of one run")
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    figures: dict[str, list[dict[str, float]]] = {"on": [], "off": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(Path(folder, "on"), {"ETA_SYNC": "true"}) as on,
        running_service(Path(folder, "off"), {"ETA_SYNC": "false"}) as off,
    ):
        services = {"on": on, "off": off}
        for service in services.values():
            _measured(service, 2, options.connections)
        for pair in range(options.pairs):
            order = ("on", "off") if pair % 2 == 0 else ("off", "on")
            for name in order:
                full = _measured(services[name], options.seconds, options.connections)
                alone = _measured(services[name], options.seconds / 2, 1)
                figures[name].append({**full, "p50_ms_alone": alone["p50_ms"]})
    ratios = {
        key: round(median(a[key] / b[key] for a, b in zip(*figures.values(), strict=True)), 3)
        for key in figures["on"][0]
    }
    found = {
        f"sync_{name}": {key: round(median(run[key] for run in runs), 1) for key in runs[0]}
        for name, runs in figures.items()
    }
    print(json.dumps({**found, "on_to_off": ratios, "pairs": figures}, indent=2))
    return 0


def _measured(service: Service, seconds: float, connections: int) -> dict[str, float]:
    end = perf_counter() + seconds
    run = next(_runs)
    with ThreadPoolExecutor(connections) as threads:
        senders = [threads.submit(_send, service, f"{run}-{n}", end) for n in range(connections)]
        times = [time for sender in senders for time in sender.result()]
    cuts = quantiles(times, n=100)
    return {
        "events_per_second": len(times) * EVENTS / seconds,
        "p50_ms": 1_000 * cuts[49],
        "p99_ms": 1_000 * cuts[98],
    }


def _send(service: Service, name: str, end: float) -> list[float]:
    address = urlsplit(service.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    headers = {"X-API-Key": service.key, "Content-Type": "application/json"}
    times: list[float] = []
    for number in count():
        if perf_counter() >= end and len(times) >= 2:
            return times
        events = [
            {
                "event_id": f"{name}-{number}-{event}",
                "user_id": f"u{event}",
                "item_id": f"i{number % 1_000}",
                "interaction_type": "view",
                "timestamp": 1_767_225_600_000 + number,
            }
            for event in range(EVENTS)
        ]
        body = json.dumps(events)
        started = perf_counter()
        connection.request("POST", "/v1/events", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"the service answered {answer.status}")
        times.append(perf_counter() - started)
    return times


if __name__ == "__main__":
    raise SystemExit(main())
