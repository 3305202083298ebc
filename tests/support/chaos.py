"""Kills the service at random moments of a stream of files and event batches; counts the cost."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx
import polars as pl

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.contracts.tenant import SourceMapping, TenantSettings, TimeRange
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import LedgerCheck, check_ledger
from tests.support.rows import interactions_csv
from tests.support.service import RunningService

TENANT = "news"
ROWS_PER_UPLOAD = 2_000
LONGEST_LIFE_SECONDS = 1.5
LONGEST_WAIT_SECONDS = 60
CLICKS = TenantSettings(
    time_range=TimeRange(start="2015-01-01", end="2030-01-01"),  # type: ignore[arg-type]
    sources={
        "clicks": SourceMapping(
            columns={"timestamp": "timestamp_ms", "device_type": "os", "location": "country"},
            constants={"interaction_type": "click"},
        )
    },
)


@dataclass
class Damage:
    """What kills have cost; all of it must be nothing."""

    kills: int = 0
    uploads: int = 0
    event_batches: int = 0
    retries: int = 0
    killed_in_flight: int = 0
    rows_sent: int = 0
    rows_lost: int = 0
    rows_twice_downstream: int = 0
    unclean_ledgers: list[LedgerCheck] = field(default_factory=list)


@dataclass
class Stream:
    """A client that sends one file after the other and sends each again until it is stored.

    Every third goes to the Events API, the others are CSV files.
    """

    service: RunningService
    files: Iterator[tuple[str, str | None]]
    damage: Damage
    sent: list[str] = field(default_factory=list)
    is_up: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)
    is_sending: bool = False

    def run(self) -> None:
        """Send until told to end; the file in hand is sent to its end."""
        for number, (body, mapping) in enumerate(self.files):
            if self.is_over.is_set():
                return
            while not self._send(number, body, mapping):
                self.damage.retries += 1
            self.sent.append(body)
            self.damage.uploads += 1
            self.damage.event_batches += number % 3 == 2

    def _send(self, number: int, body: str, mapping: str | None) -> bool:
        self.is_up.wait()
        # Every other client names its request, so that both ways to repeat one are killed.
        headers = {"Idempotency-Key": f"file-{number}"} if number % 2 else {}
        headers["X-API-Key"] = self.service.keys[TENANT]
        named = {} if mapping is None else {"mapping": mapping}
        is_events = number % 3 == 2
        try:
            self.is_sending = True
            if is_events:
                answer = httpx.post(
                    f"{self.service.base_url}/v1/events",
                    params=named,
                    headers={**headers, "Content-Type": "application/json"},
                    content=_as_events(body),
                    timeout=60,
                )
            else:
                answer = httpx.post(
                    f"{self.service.base_url}/internal/data/upload-csv",
                    params={"tenant_id": TENANT, "data_type": "interactions", **named},
                    headers=headers,
                    files={"file": ("rows.csv", body)},
                    timeout=60,
                )
        except httpx.HTTPError:
            time.sleep(0.02)
            return False
        finally:
            self.is_sending = False
        if answer.status_code != httpx.codes.OK:
            time.sleep(0.05)
            return False
        told = answer.json()
        if is_events:
            return bool(told["stored"] + told["duplicate"] == told["received"])
        return bool(told["status"] == "success")


def chaos(
    home: Path,
    kills: int,
    clicks: Path | None,
    seed: int,
    tell: Callable[[Damage], None] = lambda _: None,
) -> Damage:
    """Kill the service so often; after every restart the ledger must add up.

    In the end, what an exact removal of repeated events leaves must be every row sent, once.
    """
    moments = random.Random(seed)
    service, damage = RunningService(home), Damage()
    service.add_tenant(TENANT, CLICKS)
    stream = Stream(service, _files(clicks), damage)
    client = threading.Thread(target=stream.run)
    service.start()
    client.start()
    try:
        for _ in range(kills):
            stream.is_up.set()
            time.sleep(moments.uniform(0, LONGEST_LIFE_SECONDS))
            stream.is_up.clear()
            damage.killed_in_flight += stream.is_sending
            service.kill()
            damage.kills += 1
            service.start()
            _look(service, damage)
            tell(damage)
        stream.is_up.set()
        _wait_for_events(damage)
        stream.is_over.set()
        client.join(120)
        _look(service, damage)
    finally:
        stream.is_over.set()
        stream.is_up.set()
        service.stop()
    _count(service, stream, damage)
    return damage


def _wait_for_events(damage: Damage) -> None:
    """Wait until both ways were used: on a slow machine the kills may have left no time."""
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while not damage.event_batches:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _look(service: RunningService, damage: Damage) -> None:
    check = check_ledger(Lake(service.lake))
    if check.wrong or check.unfinished:
        damage.unclean_ledgers.append(check)


def _count(service: RunningService, stream: Stream, damage: Damage) -> None:
    raw = (
        Lake(service.lake)
        .table(RAW_INTERACTIONS)
        .to_pyarrow_table(columns=["event_id", "user_id", "item_id", "event_time"])
    )
    stored = pl.DataFrame(raw).unique("event_id")
    named = {"timestamp_ms": "timestamp"}
    sent = pl.concat(
        pl.read_csv(body.encode(), infer_schema=False).rename(named, strict=False)
        for body in stream.sent
    )
    damage.rows_sent = sent.height
    sent = sent.unique().select("user_id", "item_id", pl.col("timestamp").cast(pl.Int64))
    found = stored.select("user_id", "item_id", timestamp=pl.col("event_time").dt.epoch("ms"))
    places = ["user_id", "item_id", "timestamp"]
    both = (
        sent.group_by(places)
        .len("sent")
        .join(found.group_by(places).len("found"), on=places, how="full", coalesce=True)
        .fill_null(0)
    )
    missing = (pl.col("sent") - pl.col("found").cast(pl.Int64)).clip(0).sum()
    extra = (pl.col("found") - pl.col("sent").cast(pl.Int64)).clip(0).sum()
    damage.rows_lost, damage.rows_twice_downstream = both.select(missing, extra).row(0)


def _as_events(body: str) -> str:
    rows = pl.read_csv(body.encode(), infer_schema=False)
    numbers = [name for name in rows.columns if name.startswith("timestamp")]
    return rows.with_columns(pl.col(numbers).cast(pl.Int64)).write_json()


def _files(clicks: Path | None) -> Iterator[tuple[str, str | None]]:
    if clicks is None:
        for number in count():
            first = number * ROWS_PER_UPLOAD
            yield interactions_csv(ROWS_PER_UPLOAD, first=first), None
        return
    columns = ["user_id", "item_id", "session_id", "timestamp_ms", "os", "country"]
    rows = pl.read_parquet(clicks, columns=columns)
    for part in rows.iter_slices(ROWS_PER_UPLOAD):
        yield part.write_csv(), "clicks"
