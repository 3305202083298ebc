"""`python -m benchmarks.limits`: a 2 GB CSV, and a 1 MB gzip that unpacks to 1 GB.

A service of its own takes a file of 100 MB, then one of `--gigabytes`; its peak memory after each
is printed: flat means that the second is no higher than a few pieces above the first. Then the
bomb, as a file and as a body: both must be answered with 413, and the peak must not move.
"""

import argparse
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import httpx

from benchmarks.ingest.service import TENANT, Service, running_service

GIGABYTE = 1_000_000_000
SMALL_BYTES = 100_000_000
BOMB_BYTES = 1024**3
WRITER = """
import sys
from pathlib import Path
from benchmarks.ingest.files import write_interactions
rows, path = int(sys.argv[1]), Path(sys.argv[2])
write_interactions(path, rows, seed=rows)
"""
ROW_BYTES = 57


def main() -> None:
    """Run and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, help="where the files go; needs twice their size")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="eta-limits-", dir=options.folder) as folder:
        print(json.dumps(_run(Path(folder), options.gigabytes), indent=2))


def _run(folder: Path, gigabytes: float) -> dict[str, Any]:
    file = folder / "rows.csv"
    found: dict[str, Any] = {}
    with running_service(folder / "home") as service:
        for name, size in (("small", SMALL_BYTES), ("large", int(gigabytes * GIGABYTE))):
            _write(file, size)
            found[name] = _upload(service, file)
        bomb = _bomb()
        for name, headers in (
            ("bomb_file", {"Content-Type": "text/csv"}),
            ("bomb_body", {"Content-Type": "text/csv", "Content-Encoding": "gzip"}),
        ):
            answer = _post(service, headers=headers, content=bomb)
            found[name] = {
                "packed_bytes": len(bomb),
                "unpacks_to_bytes": BOMB_BYTES,
                "status": answer.status_code,
                "code": answer.json()["code"],
                "peak_rss_mb": round(service.peak_rss_mb),
            }
    return found


def _upload(service: Service, file: Path) -> dict[str, Any]:
    started = perf_counter()
    with file.open("rb") as body:
        answer = _post(service, files={"file": body})
    answer.raise_for_status()
    return {
        "bytes": file.stat().st_size,
        "rows_accepted": answer.json()["rows_accepted"],
        "seconds": round(perf_counter() - started, 1),
        "peak_rss_mb": round(service.peak_rss_mb),
    }


def _post(service: Service, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return httpx.post(
        f"{service.url}/internal/data/upload-csv",
        params={"tenant_id": TENANT, "data_type": "interactions"},
        headers={"Authorization": f"Bearer {service.key}", **(headers or {})},
        timeout=1_800,
        **body,
    )


def _write(path: Path, size: int) -> None:
    """Write about `size` bytes of interactions, in a process of its own: it needs memory."""
    rows = size // ROW_BYTES
    subprocess.run([sys.executable, "-c", WRITER, str(rows), str(path)], check=True)


def _bomb() -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        for _ in range(BOMB_BYTES // (1024 * 1024)):
            file.write(bytes(1024 * 1024))
    return packed.getvalue()


if __name__ == "__main__":
    main()
