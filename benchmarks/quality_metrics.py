"""`python -m benchmarks.quality_metrics`: the page of quality gauges at 1,000 tenants.

A lake with `--tenants` tenants of three data types and `--batches` ledger rows each is measured
once. Then the page is scraped over HTTP: cold, warm, and right after a batch came. The peer is
the same page by a collector that opens the tables anew at every scrape. Processor time counts both
ends of a scrape: where other programs run, waiting for a core is most of the rest. Prints JSON.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import httpx
import polars as pl
from deltalake import write_deltalake
from prometheus_client import CollectorRegistry, generate_latest

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tables import OPS_INGEST_LEDGER
from lakehouse.quality.exporter import serve_metrics
from lakehouse.quality.metrics import QualityMetrics
from lakehouse.quality.refresh import refresh
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

ROWS = 100


def main() -> None:
    """Run and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--batches", type=int, default=20, help="of each tenant and data type")
    parser.add_argument("--scrapes", type=int, default=20)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="eta-quality-") as folder:
        found = _run(Path(folder), options.tenants, options.batches, options.scrapes)
    print(json.dumps(found, indent=2))


def _run(folder: Path, tenants: int, batches: int, scrapes: int) -> dict[str, Any]:
    lake = LakeSettings(home=folder)
    ensure_tables(Lake(lake))
    # a day old: what is young is asked of raw, which has nothing of these
    _send(lake, tenants, batches, datetime.now(UTC) - timedelta(days=1))
    measuring = _seconds(lambda: refresh(Lake(lake), "benchmark"))
    idle = _seconds(lambda: refresh(Lake(lake), "nothing new"))
    server = serve_metrics(Lake(lake), "127.0.0.1", 0, tenants)
    url = f"http://127.0.0.1:{server.server_port}/metrics"
    try:
        page = httpx.get(url, timeout=60)
        busy = process_time()
        warm = [_seconds(lambda: httpx.get(url, timeout=60)) for _ in range(scrapes)]
        busy = process_time() - busy
        changed = []
        for _ in range(5):
            _send(lake, 1, 1, datetime.now(UTC))
            changed.append(_seconds(lambda: httpx.get(url, timeout=60)))
    finally:
        server.shutdown()
        server.server_close()
    peer = [_seconds(lambda: _anew(lake, tenants)) for _ in range(3)]
    middle = statistics.median(warm)
    return {
        "tenants": tenants,
        "series": sum(not line.startswith("#") for line in page.text.splitlines()),
        "page_bytes": len(page.content),
        "ledger_rows": tenants * batches * len(DataType),
        "measure_all_seconds": round(measuring, 3),
        "measure_nothing_new_seconds": round(idle, 3),
        "scrape_warm_ms": round(1_000 * middle, 1),
        "scrape_warm_worst_ms": round(1_000 * max(warm), 1),
        "scrape_warm_processor_ms": round(1_000 * busy / scrapes, 1),
        "scrape_after_a_batch_ms": round(1_000 * statistics.median(changed), 1),
        "peer_opens_anew_ms": round(1_000 * statistics.median(peer), 1),
        "ratio_to_peer": round(middle / statistics.median(peer), 3),
    }


def _send(lake: LakeSettings, tenants: int, batches: int, known_at: datetime) -> None:
    """Append ledger rows of batches that were stored whole."""
    names = pl.DataFrame({"tenant_id": [f"tenant-{n:05}" for n in range(tenants)]})
    kinds = pl.DataFrame({"data_type": [kind.value for kind in DataType]})
    numbers = pl.DataFrame({"number": range(batches)})
    rows = names.join(kinds, how="cross").join(numbers, how="cross")
    rows = rows.with_columns(
        known_at=pl.lit(known_at) - pl.duration(minutes=pl.col("number")),
        batch_id=pl.format(
            "{}-{}-{}-{}", "tenant_id", "data_type", "number", pl.lit(known_at.timestamp())
        ),
        ingest_date=pl.lit(known_at.date()),
        attempt=pl.lit(1),
        replay=pl.lit(0, pl.Int32),
        source=pl.lit("benchmark"),
        source_ref=pl.lit("ledger"),
        received=pl.lit(ROWS),
        stored=pl.lit(ROWS),
        **{name: pl.lit(0) for name in ("duplicate", "quarantined", "suppressed")},
    )
    table = rows.select(OPS_INGEST_LEDGER.schema.names).to_arrow().cast(OPS_INGEST_LEDGER.schema)
    write_deltalake(Lake(lake).table(OPS_INGEST_LEDGER), table, mode="append")


def _anew(lake: LakeSettings, tenants: int) -> bytes:
    registry = CollectorRegistry()
    registry.register(QualityMetrics(Lake(lake), most_tenants=tenants))
    return generate_latest(registry)


def _seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


if __name__ == "__main__":
    main()
