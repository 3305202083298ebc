"""The whole spine on S3 and on a disk, and eight writers on one bucket: `python -m benchmarks.s3`.

Two processes of the service take in a tenant's files by turns, on a local S3 and on a disk; the
models run on each and publish; the content hashes must be equal. Then eight processes commit to one
table through a proxy that spoils one request in twenty. Exit code 1 when a hash differs, or a row
is lost or there twice.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.demo.generate import generate
from lakehouse.demo.tenants import ACME
from lakehouse.dev.s3 import BUCKET, start_s3, stop_s3, storage_options, storage_options_of
from lakehouse.dev.servers import Server, stop_server
from lakehouse.dev.spark import NAMES, start_spark
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.training.publish import find_snapshot
from tests.support.s3_faults import STALL_SECONDS, faulty_s3
from tests.support.service import RunningService
from tests.support.writers import expected_ids, write_at_once

PARTS = 4
"""Files that a tenant's interactions come in, half of them through each process."""


def main() -> int:
    """Run both, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interactions", type=int, default=20_000)
    parser.add_argument("--batches", type=int, default=20, help="Of each of the eight writers.")
    parser.add_argument("--only", choices=("spine", "race"))
    options = parser.parse_args()
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder, _s3(Path(folder)) as server:
        if options.only != "race":
            found["spine"] = _spine(Path(folder), server, options.interactions)
        if options.only != "spine":
            found["race"] = _race(Path(folder), server, options.batches)
    print(json.dumps(found, indent=2))
    return 0 if all(part["is_good"] for part in found.values()) else 1  # type: ignore[index]


@contextmanager
def _s3(folder: Path) -> Iterator[Server]:
    settings = LakeSettings(home=folder / "server")
    yield start_s3(settings)
    stop_s3(settings)


def _spine(folder: Path, server: Server, interactions: int) -> dict[str, object]:
    files = _files(folder, interactions)
    on_disk = LakeSettings(home=folder / "disk")
    on_s3 = LakeSettings(
        home=folder / "s3",
        lake_uri=f"s3://{BUCKET}/spine",
        storage_options=storage_options(server),
    )
    found: dict[str, object] = {}
    hashes = {}
    for name, lake in (("disk", on_disk), ("s3", on_s3)):
        started = time.perf_counter()
        _ingest(lake, files)
        ingested = time.perf_counter()
        _prepare(lake)
        manifest = find_snapshot(Lake(lake), "shop", "current")
        check = check_ledger(Lake(lake))
        hashes[name] = manifest.content_hash
        found[name] = {
            "content_hash": manifest.content_hash,
            "rows": manifest.counts.rows,
            "batches": check.batches,
            "received": check.received,
            "wrong_in_the_ledger": len(check.wrong),
            "ingest_seconds": round(ingested - started, 1),
            "prepare_seconds": round(time.perf_counter() - ingested, 1),
        }
    return {**found, "is_good": len(set(hashes.values())) == 1}


def _files(folder: Path, interactions: int) -> list[tuple[str, bytes]]:
    """Return the data type and content of each file to upload."""
    made = generate(ACME.sized(interactions=interactions), folder / "files")
    head, *lines = made.interactions.read_bytes().splitlines(keepends=True)
    parts = [head + b"".join(lines[n::PARTS]) for n in range(PARTS)]
    return [("items", made.items.read_bytes()), *(("interactions", part) for part in parts)]


def _ingest(lake: LakeSettings, files: list[tuple[str, bytes]]) -> None:
    services = [RunningService(lake.home_dir, _environment(lake)) for _ in range(2)]
    lake.home_dir.mkdir(parents=True, exist_ok=True)
    services[0].add_tenant("shop")
    services[1].keys = services[0].keys
    try:
        for service in services:
            service.start()
        for number, (data_type, content) in enumerate(files):
            answer = services[number % 2].upload("shop", content, data_type=data_type)
            answer.raise_for_status()
    finally:
        for service in services:
            service.stop()


def _prepare(lake: LakeSettings) -> None:
    environment = {**os.environ, "ETA_HOME": str(lake.home_dir), **_environment(lake)}
    environment["DBT_TARGET_PATH"] = str(lake.home_dir / "target")
    if Lake(lake).needs_one_spark:
        spark = start_spark(lake)
        environment |= {"DBT_TARGET": "connect", "ETA_SPARK_REMOTE": spark.addresses["remote"]}
    try:
        eta = Path(sys.executable).with_name("eta")
        subprocess.run([eta, "prepare"], env=environment, check=True, stdout=sys.stderr)
    finally:
        stop_server(NAMES["connect"], lake.dev_dir / NAMES["connect"])


def _environment(lake: LakeSettings) -> dict[str, str]:
    if Lake(lake).disk() is not None:
        return {}
    return {"ETA_LAKE_URI": lake.lake, "ETA_STORAGE_OPTIONS": json.dumps(lake.storage_options)}


def _race(folder: Path, server: Server, batches: int) -> dict[str, object]:
    processes = 8
    uri = f"s3://{BUCKET}/race"
    home = folder / "race"
    lake = LakeSettings(home=home, lake_uri=uri, storage_options=storage_options(server))
    with faulty_s3(server.addresses["url"]) as proxy:
        options = {**storage_options_of(proxy.url), "timeout": f"{STALL_SECONDS - 1:.0f}s"}
        through = LakeSettings(home=home, lake_uri=uri, storage_options=options)
        seen = write_at_once(lake, processes, batches, through, look_every=5)
    expected, check = expected_ids(processes, batches), check_ledger(Lake(lake))
    lost = len(set(expected) - set(seen.batch_ids))
    twice = len(seen.batch_ids) - len(set(seen.batch_ids))
    return {
        "commits": len(expected),
        "lost": lost,
        "twice": twice,
        "wrong_in_the_ledger": len(check.wrong),
        "exit_codes": seen.exit_codes,
        "seconds": round(seen.seconds, 1),
        "requests": proxy.requests,
        "spoiled": {f"{kind}, {method}": n for (kind, method), n in sorted(proxy.spoiled.items())},
        "is_good": not (lost or twice or check.wrong or any(seen.exit_codes)),
    }


if __name__ == "__main__":
    sys.exit(main())
