"""A lake of many tenants as days of use leave it, made in seconds: rows, ledger, tables, jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
from deltalake import write_deltalake
from sqlalchemy import insert

from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from lakehouse.control import schema
from lakehouse.control.database import ControlDatabase
from lakehouse.control.jobs import owner_columns
from lakehouse.quality.outcomes import verdict
from lakehouse.quality.refresh import refresh
from lakehouse.quality.report import new_report_path, write_report
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.overview import OVERVIEW_TABLES
from lakehouse.storage.tables import ensure_tables
from tests.support.quality import Plan, plant

ROWS: Final = 10
"""Of a batch."""
BATCHES: Final = 2
REPORTS: Final = 5
"""Of the gate, each about all tenants: what five runs leave."""


@dataclass
class Made:
    """A lake and its tenants; `active` are those that send something new."""

    settings: LakeSettings
    names: tuple[str, ...]
    active: tuple[str, ...]
    key: str
    """Of the first tenant: it may send, read and see its figures."""

    @property
    def tenants(self) -> int:
        """How many there are."""
        return len(self.names)

    def send(self) -> None:
        """Store a batch of each active tenant, as the service does."""
        sink = DeltaSink(Lake(self.settings))
        for name in self.active:
            plant(sink, f"{name}-{datetime.now(UTC).timestamp()}", Plan(good=ROWS), tenant=name)
        sink.close()


def make_lake(home: Path, tenants: int, share: float) -> Made:
    """Make a lake of so many tenants below a folder."""
    settings = LakeSettings(home=home)
    lake = Lake(settings)
    ensure_tables(lake)
    names = tuple(f"tenant-{number:05}" for number in range(tenants))
    now = datetime.now(UTC)
    key = _control(settings, names, now)
    _stored(lake, names, now - timedelta(days=1))
    _built(lake, names)
    refresh(lake, "made")
    figures = {"raw": {"rows": ROWS, "users": ROWS}}
    results = {name: verdict(name, (), (), figures, checked_at=now.isoformat()) for name in names}
    for number in range(REPORTS):
        at = now - timedelta(hours=6 * number)
        write_report(new_report_path(home, at), results, checked_at=at, seconds=1.0)
    return Made(settings, names, names[: max(1, round(tenants * share))], key)


def _control(settings: LakeSettings, names: Sequence[str], now: datetime) -> str:
    """Add the tenants, with four jobs each; return a key of the first."""
    database = ControlDatabase.open(settings.control_url)
    for name in names:
        database.tenants.add(name)
    first = database.keys.create(names[0], {"ingest", "read"}).secret
    jobs = [
        {
            "job_id": f"{name}-{number}",
            "tenant_id": name,
            "kind": "upload",
            "batch_id": f"{name}-{number}",
            "state": "succeeded",
            "created_at": now - timedelta(hours=number),
            "finished_at": now,
            "is_owner_lost": False,
            "held_until": now,
            **owner_columns(),
        }
        for name in names
        for number in range(4)
    ]
    with database.connections.write() as connection:
        connection.execute(insert(schema.jobs), jobs)
    database.close()
    return first


def _stored(lake: Lake, names: Sequence[str], known_at: datetime) -> None:
    """Write batches that were stored whole: their rows in raw, and what the ledger says of them."""
    batches = pl.DataFrame({"tenant_id": names}).join(
        pl.DataFrame({"number": range(BATCHES)}), how="cross"
    )
    batches = batches.with_columns(
        batch_id=pl.format("{}-{}", "tenant_id", "number"),
        known_at=pl.lit(known_at) - pl.duration(minutes=pl.col("number")),
        ingest_date=pl.lit(known_at.date()),
        source=pl.lit("benchmark"),
    )
    ledger = batches.with_columns(
        data_type=pl.lit("interactions"),
        attempt=pl.lit(1),
        replay=pl.lit(0, pl.Int32),
        source_ref=pl.lit("ledger"),
        received=pl.lit(ROWS),
        stored=pl.lit(ROWS),
        **{name: pl.lit(0) for name in ("duplicate", "quarantined", "suppressed")},
    )
    rows = batches.join(pl.DataFrame({"row": range(ROWS)}), how="cross").with_columns(
        event_id=pl.format("{}-{}", "batch_id", "row"),
        user_id=pl.format("u-{}", "row"),
        item_id=pl.format("i-{}", "row"),
        interaction_type=pl.lit("click"),
        event_time=pl.col("known_at"),
        rating=pl.lit(None, pl.Float64),
        context=pl.lit(
            None, pl.Struct(dict.fromkeys(("device_type", "location", "session_id"), pl.String))
        ),
        source_ref=pl.format("line:{}", "row"),
    )
    for spec, found in ((RAW_INTERACTIONS, rows), (OPS_INGEST_LEDGER, ledger)):
        table = found.select(spec.schema.names).to_arrow().cast(spec.schema)
        write_deltalake(lake.table(spec), table, mode="append")


def _built(lake: Lake, names: Sequence[str]) -> None:
    """Write the tables of the models that `eta status` counts, a file for each tenant."""
    rows = pa.table({"tenant_id": [n for n in names for _ in range(ROWS)]})
    rows = rows.append_column("user_id", pa.array([str(n) for n in range(rows.num_rows)]))
    for path in OVERVIEW_TABLES:
        if lake.find(path) is None:
            write_deltalake(lake.location(path), rows, partition_by=["tenant_id"])
