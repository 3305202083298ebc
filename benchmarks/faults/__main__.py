"""`python -m benchmarks.faults`: one tenant's requests fail at each step; what do others notice?

The real service over HTTP. Other tenants send single events at a steady pace, and so does the
failing one. Per step of a group commit: some seconds without faults, then as many in which that
step raises for the failing tenant at every call, then none again. Prints JSON: the p99 of the
other tenants' answers in both halves of each pair and their ratio (wanted: under 2), and the
seconds until the failing tenant was served again (wanted: under 5).
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, cycle
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any, Final

import httpx

from benchmarks.faults.server import FAILING, STEPS
from lakehouse.control.database import ControlDatabase

OTHERS: Final = ("one", "two", "three")
ERRORS: Final = ("RuntimeError", "OSError", "DeltaError", "EtaError", "Panic")
START_SECONDS: Final = 120.0
SERVED_LIMIT: Final = 30.0
_numbers = count()


def main() -> None:
    """Run and print JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="of each half of a pair")
    parser.add_argument("--pace", type=float, default=20.0, help="requests per second and tenant")
    parser.add_argument("--steps", type=int, default=len(STEPS), help="how many of the steps")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="eta-faults-") as folder:
        found = asyncio.run(_run(Path(folder), options.seconds, options.pace, options.steps))
    print(json.dumps(found, indent=2))


async def _run(folder: Path, seconds: float, pace: float, steps: int) -> dict[str, Any]:
    fault = folder / "fault.json"
    with _service(folder / "home", fault) as (url, keys):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            load = _Load(client, keys, pace)
            await load.during(seconds)  # to warm up
            pairs = []
            for step, error in zip(STEPS[:steps], cycle(ERRORS), strict=False):
                pairs.append(await _pair(load, fault, step, error, seconds))
    ratios = [pair["ratio"] for pair in pairs]
    served = [pair["served_again_seconds"] for pair in pairs]
    return {
        "pairs": pairs,
        "median_ratio": round(median(ratios), 2),
        "largest_ratio": max(ratios),
        "others_failed": sum(pair["others_failed"] for pair in pairs),
        "longest_until_served_again_seconds": max(served),
    }


async def _pair(
    load: "_Load", fault: Path, step: str, error: str, seconds: float
) -> dict[str, Any]:
    base = await load.during(seconds)
    fault.write_text(json.dumps({"step": step, "error": error}))
    struck = await load.during(seconds)
    fault.unlink()
    ended = monotonic()
    while monotonic() - ended < SERVED_LIMIT:
        if (await load.send(FAILING)).status_code == httpx.codes.OK:
            break
    served = monotonic() - ended
    without, beside = _p99(base.others), _p99(struck.others)
    return {
        "step": step.partition(":")[2],
        "error": error,
        "failing_tenants_errors": struck.errors[FAILING],
        "others_failed": sum(struck.errors[name] for name in OTHERS),
        "p99_ms": round(without * 1_000, 1),
        "p99_beside_faults_ms": round(beside * 1_000, 1),
        "ratio": round(beside / without, 2),
        "served_again_seconds": round(served, 3),
    }


class _Figures:
    """Seconds of the other tenants' answers, and errors by tenant."""

    def __init__(self) -> None:
        self.others: list[float] = []
        self.errors = dict.fromkeys((*OTHERS, FAILING), 0)


class _Load:
    """Every tenant sends at the same steady pace, whatever becomes of its requests."""

    def __init__(self, client: httpx.AsyncClient, keys: dict[str, str], pace: float) -> None:
        self._client = client
        self._keys = keys
        self._pace = pace

    async def send(self, tenant: str) -> httpx.Response:
        """Send an event."""
        event = {
            "event_id": f"e{next(_numbers)}",
            "user_id": "u",
            "item_id": "i",
            "interaction_type": "view",
            "timestamp": 1_767_225_600_000,
        }
        headers = {"Authorization": f"Bearer {self._keys[tenant]}"}
        return await self._client.post("/v1/events", json=event, headers=headers)

    async def during(self, seconds: float) -> _Figures:
        """Send for so long; return when all is answered."""
        figures = _Figures()
        sent: list[asyncio.Task[None]] = []
        begun = monotonic()
        for number in range(int(seconds * self._pace)):
            await asyncio.sleep(max(0.0, begun + number / self._pace - monotonic()))
            for tenant in (*OTHERS, FAILING):
                sent.append(asyncio.create_task(self._timed(tenant, figures)))
        await asyncio.gather(*sent)
        return figures

    async def _timed(self, tenant: str, figures: _Figures) -> None:
        begun = monotonic()
        answer = await self.send(tenant)
        if answer.status_code != httpx.codes.OK:
            figures.errors[tenant] += 1
        elif tenant in OTHERS:
            figures.others.append(monotonic() - begun)


def _p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98] if len(seconds) > 1 else float("inf")


@contextmanager
def _service(home: Path, fault: Path) -> Iterator[tuple[str, dict[str, str]]]:
    home.mkdir(parents=True)
    database = ControlDatabase.open(f"sqlite:///{home / 'control.db'}")
    keys = {}
    for tenant in (*OTHERS, FAILING):
        database.tenants.add(tenant)
        keys[tenant] = database.keys.create(tenant).secret
    database.close()
    port_file = home / "port"
    command = [sys.executable, "-m", "benchmarks.faults.server", str(fault)]
    with (home / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", "0", "--port-file", str(port_file)],
            env={**os.environ, "ETA_HOME": str(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = monotonic() + START_SECONDS
        while not port_file.exists():
            if process.poll() is not None or monotonic() > deadline:
                raise RuntimeError(f"the service did not start; see {home / 'service.log'}")
            sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text().strip()}", keys
    finally:
        process.terminate()
        process.wait(90)


if __name__ == "__main__":
    main()
