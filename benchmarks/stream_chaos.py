"""Consumers killed while real clicks flow: nothing lost, nothing stored twice.

    python -m benchmarks.stream_chaos --clicks 1500000 --kills 100 --out chaos.json

Two consumers read eight tenants' clicks from a real broker. At random moments one of them is
killed with -9 and started again; now and then one leaves and joins again. At the end every click
must stand in `raw.interactions` once and the ledger must add up. Then the topic is read again from
its beginning, with dedupe windows too small to know the clicks, and what staging would keep is
compared by content. A small version of the same is part of the tests.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Final

import polars as pl

from ingest_service.stream.producer import InteractionProducer
from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.contracts.topics import topics
from lakehouse.control.database import ControlDatabase
from lakehouse.dev.kafka import BOOTSTRAP, ensure_topics, start_broker, stop_broker
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.row_counts import row_count

TENANTS: Final = 8
CONSUMERS: Final = 2
SETTINGS: Final = TenantSettings.model_validate(
    {"time_range": {"start": "2000-01-01", "end": "2040-01-01"}}
)
SESSION_MS: Final = 2_000
DRAIN_SECONDS: Final = 300
MOMENT_SECONDS: Final = 1.5
"""A kill comes at a random moment of so long, once rows are being stored again."""
PROGRESS_SECONDS: Final = 20
LEAVE_EVERY: Final = 7
"""Every so many disturbances a consumer leaves in good order instead of being killed."""


@dataclass(frozen=True, slots=True)
class ChaosResult:
    """What was sent, what stands in the lake, and what the ledger says."""

    clicks: int
    kills: int
    leaves: int
    lost: int
    stored_twice: int
    differing: int
    ledger_received: int
    ledger_wrong: int
    ledger_unfinished: int
    seconds: float
    raw_rows_after_replay: int = 0
    is_replay_unchanged: bool = True

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, stored twice or miscounted."""
        return (
            not (self.lost or self.stored_twice or self.differing or self.ledger_wrong)
            and self.ledger_received == self.clicks
            and self.is_replay_unchanged
        )


def clicks_of(path: Path, count: int) -> pl.DataFrame:
    """Return the first `count` clicks of the news file as events of eight tenants."""
    clicks = pl.read_parquet(path).head(count).with_row_index("number")
    return clicks.select(
        tenant=pl.format("news{}", pl.col("user_id") % TENANTS),
        user_id=pl.col("user_id").cast(pl.String),
        item_id=pl.col("item_id").cast(pl.String),
        timestamp=pl.col("timestamp_ms"),
        event_id=pl.format("click-{}", "number"),
    )


def made_clicks(count: int) -> pl.DataFrame:
    """Return clicks made up, for where the news file is not at hand."""
    number = pl.int_range(count, eager=True)
    frame = pl.DataFrame({"number": number})
    return frame.select(
        tenant=pl.format("news{}", pl.col("number") % TENANTS),
        user_id=pl.format("u{}", pl.col("number") % 997),
        item_id=pl.format("i{}", pl.col("number") % 311),
        timestamp=1_700_000_000_000 + pl.col("number"),
        event_id=pl.format("click-{}", "number"),
    )


class Consumers:
    """Consumer processes of one lake."""

    def __init__(self, home: Path, bootstrap: str, prefix: str, extra: Mapping[str, str]) -> None:
        self._environment = {
            **os.environ,
            "ETA_HOME": str(home),
            "ETA_STREAM_BOOTSTRAP_SERVERS": bootstrap,
            "ETA_STREAM_TOPIC_PREFIX": prefix,
            "ETA_STREAM_SESSION_TIMEOUT_MS": str(SESSION_MS),
            "ETA_STREAM_BATCH_SECONDS": "0.2",
            **extra,
        }
        self._log = (home / "consumers.log").open("ab")
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> None:
        """Start one more."""
        command = [sys.executable, "-m", "ingest_service.stream", *arguments]
        self.running.append(
            subprocess.Popen(
                command, env=self._environment, stdout=self._log, stderr=subprocess.STDOUT
            )
        )

    def end(self, number: int, how: signal.Signals) -> int:
        """End one and wait for it; return its exit code."""
        process = self.running.pop(number)
        process.send_signal(how)
        return process.wait(60)

    def end_all(self) -> None:
        """End those that run, in good order."""
        while self.running:
            self.end(0, signal.SIGTERM)

    def died(self) -> list[int]:
        """Return the exit codes of those that ended by themselves."""
        return [code for p in self.running if (code := p.poll()) is not None]


def run(
    folder: Path,
    clicks: pl.DataFrame,
    kills: int,
    *,
    bootstrap: str,
    prefix: str,
    rate: float,
    seed: int = 1,
) -> ChaosResult:
    """Send the clicks, disturb the consumers, compare; the lake is in `folder`."""
    began = time.monotonic()
    lake = _new_lake(folder)
    ensure_topics(bootstrap, topics(prefix))
    chance = random.Random(seed)
    consumers = Consumers(folder, bootstrap, prefix, {})
    sender = Thread(target=_send, args=(clicks, bootstrap, prefix, rate), daemon=True)
    killed = left = 0
    try:
        for _ in range(CONSUMERS):
            consumers.start()
        sender.start()
        while killed < kills:
            _wait_for_progress(lake)
            time.sleep(chance.uniform(0, MOMENT_SECONDS))
            if consumers.died():
                raise RuntimeError(f"a consumer ended by itself: {consumers.died()}")
            number = chance.randrange(len(consumers.running))
            if (killed + left) % LEAVE_EVERY == LEAVE_EVERY - 1:
                consumers.end(number, signal.SIGTERM)
                left += 1
            else:
                consumers.end(number, signal.SIGKILL)
                killed += 1
                _tell(f"{killed} kills, {left} leaves, {_raw_rows(lake):,} rows stored")
            consumers.start()
        sender.join()
        _wait_for_rows(lake, clicks.height)
        # a last take-over clears what the last kill left
        consumers.end_all()
        consumers.start()
        time.sleep(SESSION_MS / 1_000 + 3)
    finally:
        consumers.end_all()
    return _compare(lake, clicks, killed, left, time.monotonic() - began)


def replay(folder: Path, clicks: int, *, bootstrap: str, prefix: str) -> tuple[int, bool]:
    """Read the topic again from its beginning; return raw's rows, and whether content is equal."""
    lake = LakeSettings(home=folder)
    before = staged_content(lake)
    small = {"ETA_SERVICE_DEDUPE_ROWS": "500", "ETA_SERVICE_DEDUPE_TOTAL_ROWS": "4000"}
    consumers = Consumers(folder, bootstrap, prefix, small)
    consumers.start("--reread", f"{prefix}interactions-raw")
    try:
        deadline = time.monotonic() + DRAIN_SECONDS
        while _received(lake) < 2 * clicks and time.monotonic() < deadline:
            time.sleep(1)
    finally:
        consumers.end_all()
    return _raw_rows(lake), staged_content(lake) == before and _received(lake) == 2 * clicks


def staged_content(lake: LakeSettings) -> tuple[int, int]:
    """Return rows and hash of what staging keeps: per event the row that was known first."""
    columns = ["tenant_id", "event_id", "user_id", "item_id", "interaction_type", "event_time"]
    order = ["known_at", "batch_id", "source_ref"]
    table = Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table(columns=[*columns, *order])
    kept = pl.DataFrame(table).sort(order).unique(["tenant_id", "event_id"], keep="first")
    rows = kept.sort("tenant_id", "event_id").select([*columns, *order])
    return rows.height, int(rows.hash_rows(seed=1).sum())


def _new_lake(folder: Path) -> LakeSettings:
    from lakehouse.storage.tables import ensure_tables

    lake = LakeSettings(home=folder)
    folder.mkdir(parents=True, exist_ok=True)
    ensure_tables(Lake(lake))
    control = ControlDatabase.open(lake.control_url)
    for number in range(TENANTS):
        control.tenants.add(f"news{number}", settings=SETTINGS)
    control.close()
    return lake


def _send(clicks: pl.DataFrame, bootstrap: str, prefix: str, rate: float) -> None:
    with InteractionProducer(bootstrap, topic_prefix=prefix) as producer:
        began = time.monotonic()
        for number, row in enumerate(clicks.iter_rows(named=True)):
            tenant = row.pop("tenant")
            producer.send(tenant, {**row, "interaction_type": "click"})
            if number % 500 == 0:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))


def _raw_rows(lake: LakeSettings) -> int:
    return row_count(Lake(lake).table(RAW_INTERACTIONS))


def _received(lake: LakeSettings) -> int:
    return check_ledger(Lake(lake)).received


def _wait_for_progress(lake: LakeSettings) -> None:
    """Wait until something was stored from now on, or nothing more is to come."""
    before, deadline = _raw_rows(lake), time.monotonic() + PROGRESS_SECONDS
    while _raw_rows(lake) == before and time.monotonic() < deadline:
        time.sleep(0.1)


def _wait_for_rows(lake: LakeSettings, rows: int) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while _raw_rows(lake) < rows and time.monotonic() < deadline:
        time.sleep(0.5)


def _compare(
    lake: LakeSettings, clicks: pl.DataFrame, kills: int, leaves: int, seconds: float
) -> ChaosResult:
    names = ["tenant_id", "event_id", "user_id", "item_id", "event_time", "source_ref"]
    raw = pl.DataFrame(Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table(columns=names))
    raw = raw.with_columns(timestamp=pl.col("event_time").dt.epoch("ms"))
    wanted = clicks.rename({"tenant": "tenant_id"})
    keys = ["tenant_id", "event_id"]
    same = [*keys, "user_id", "item_id", "timestamp"]
    check = check_ledger(Lake(lake))
    return ChaosResult(
        clicks=clicks.height,
        kills=kills,
        leaves=leaves,
        lost=wanted.join(raw, on=keys, how="anti").height,
        stored_twice=raw.height - raw.unique(keys).height,
        differing=wanted.join(raw, on=keys, how="semi").join(raw, on=same, how="anti").height,
        ledger_received=check.received,
        ledger_wrong=len(check.wrong),
        ledger_unfinished=check.unfinished,
        seconds=round(seconds, 1),
    )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream_chaos")
    parser.add_argument("--clicks", type=int, default=1_500_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rate", type=float, default=2_500.0, help="clicks sent per second")
    parser.add_argument("--data", type=Path, help="news_clicks.parquet; without it clicks are made")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _news(given: Path | None) -> Path | None:
    folder = Path(os.environ.get("ETA_TEST_DATA", "../shared/data"))
    path = given or folder / "news_clicks.parquet"
    return path if path.is_file() else None


def main() -> int:
    """Run it with a broker of its own."""
    options = _options()
    news = _news(options.data)
    clicks = clicks_of(news, options.clicks) if news else made_clicks(options.clicks)
    with tempfile.TemporaryDirectory(prefix="eta-chaos-") as scratch:
        server = LakeSettings(home=Path(scratch) / "broker")
        bootstrap = start_broker(server, ()).addresses[BOOTSTRAP]
        where: dict[str, Any] = {"bootstrap": bootstrap, "prefix": "chaos-"}
        try:
            folder = Path(scratch) / "home"
            result = run(folder, clicks, options.kills, rate=options.rate, **where)
            rows, is_same = replay(folder, clicks.height, **where)
        finally:
            stop_broker(server)
    found = {
        **asdict(result),
        "raw_rows_after_replay": rows,
        "is_replay_unchanged": is_same,
        "data": news.name if news else "made",
    }
    print(json.dumps(found, indent=2))
    if options.out:
        options.out.write_text(json.dumps(found, indent=2), encoding="utf-8")
    return 0 if ChaosResult(**{k: v for k, v in found.items() if k != "data"}).is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
