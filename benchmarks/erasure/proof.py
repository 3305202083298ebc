"""`python -m benchmarks.erasure.proof --data FILE`: real people erased while all goes on.

Takes a file of real interactions (MovieLens' `ml-100k.inter`, or `news_clicks.parquet`), gives
every user an id of 37 characters, builds the models, and erases some of them while events keep
coming in and a run of the models is under way in another process. Then it searches for them,
compares everybody else's rows, replays the file, the quarantine and the topic (the file's last rows
come over Kafka), and searches again. Prints JSON.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter, sleep
from typing import Any

import polars as pl
from deltalake import QueryBuilder

from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.dev.kafka import start_broker, stop_broker
from lakehouse.jobs.erase import DbtModels
from lakehouse.privacy.worker import Worker
from lakehouse.settings import LakeSettings, find_project_dir
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.training.build import ON_REQUEST, run_dbt
from tests.support.erasure import TENANT, ErasableLake, interactions
from tests.support.stream import Lane

TABLES = ("raw/interactions", "staging/stg_interactions", "features/user_features")
TRAINING = "training/training_data"
LIVE = "live-"
TOPIC_ROWS = 5_000


def file_of(data: Path, rows: int | None) -> pl.DataFrame:
    """Return `user_id, item_id, interaction_type, timestamp` of a real data set."""
    if data.suffix == ".parquet":
        found = pl.read_parquet(data, columns=["user_id", "item_id", "timestamp_ms"])
        found = found.rename({"timestamp_ms": "timestamp"}).with_columns(
            interaction_type=pl.lit("click")
        )
    else:
        found = pl.read_csv(data, separator="\t")
        found = found.select(
            user_id=pl.col("user_id:token"),
            item_id=pl.col("item_id:token"),
            interaction_type=pl.when(pl.col("rating:float") >= 4).then(pl.lit("like"))
            .when(pl.col("rating:float") == 3).then(pl.lit("view"))
            .otherwise(pl.lit("dislike")),
            timestamp=pl.col("timestamp:float").cast(pl.Int64) * 1_000,
        )  # fmt: skip
    found = found.head(rows) if rows else found
    users = found["user_id"].unique().to_list()
    names = {u: f"user-{hashlib.sha256(str(u).encode()).hexdigest()[:32]}" for u in users}
    return found.select(
        pl.col("user_id").replace_strict(names, return_dtype=pl.String),
        pl.col("item_id").cast(pl.String),
        "interaction_type",
        "timestamp",
    )


def catalogue_of(events: pl.DataFrame) -> str:
    """Return a catalogue of all items, on offer before the first event.

    Without one an item is available from its first interaction on. If that was an erased person's,
    it becomes available later, and what is drawn for everybody after it has to change.
    """
    live = pl.Series("item_id", [f"i{n}" for n in range(5)])
    items = pl.concat([events["item_id"].unique(), live]).unique().sort().to_frame()
    return items.with_columns(available_from=pl.lit(631_238_400_000)).write_csv()


def others(lake: ErasableLake, gone: list[str]) -> dict[str, str]:
    """Return per table a hash over the rows of everybody who is not erased and was there before."""
    found = {}
    leaving = pl.Series(gone).implode()
    for path in (*TABLES, TRAINING):
        table = Lake(lake.settings).table(path)
        query = f"select * from held where tenant_id = '{TENANT}'"
        rows = pl.DataFrame(QueryBuilder().register("held", table).execute(query).read_all())
        rows = rows.filter(~pl.col("user_id").is_in(leaving))
        rows = rows.filter(~pl.col("user_id").cast(pl.String).str.starts_with(LIVE))
        if path == TRAINING:
            rows = rows.drop("known_at", strict=False)
        texts = rows.select(pl.struct(sorted(rows.columns)).struct.json_encode()).to_series()
        digest = hashlib.sha256("\n".join(texts.sort()).encode()).hexdigest()
        found[path] = f"{rows.height} rows, {digest[:16]}"
    return found


@contextmanager
def topic_of(lake: ErasableLake) -> Iterator[Lane]:
    """Run a broker with a topic that ends in the lake."""
    with TemporaryDirectory(prefix="eta-broker-") as folder:
        settings = LakeSettings(home=Path(folder))
        broker = start_broker(settings, ())
        lane = Lane(broker.addresses["bootstrap_servers"], lake.home, tenants=())
        try:
            yield lane
        finally:
            lane.close()
            stop_broker(settings)


def take_in(lane: Lane, count: int, *topics: str) -> int:
    """Consume so many messages, `topics` from the beginning; return how many were suppressed."""

    def suppressed() -> int:
        return int(lane.rows_of_ledger()["suppressed"].sum())

    before, received = suppressed(), lane.received()
    with lane.consuming(reread=frozenset(topics)):
        lane.wait_received(received + count)
    return suppressed() - before


def keep_sending(lake: ErasableLake, stop: Event, sent: list[int]) -> None:
    """Send events of other people until told to stop."""
    number = 0
    while not stop.is_set():
        number += 1
        lake.upload(interactions([(f"{LIVE}{number % 7}", number * 10 + n) for n in range(10)]))
        sent.append(10)
        sleep(0.2)


def run(data: Path, count: int, rows: int | None) -> dict[str, Any]:
    """Do it all in a home of its own; raises when anything is not as it has to be."""
    with TemporaryDirectory(prefix="eta-erasure-") as folder, ExitStack() as stack:
        home = Path(folder)
        environment = {"ETA_HOME": folder, "DBT_TARGET_PATH": f"{folder}/target"}
        os.environ.update({**environment, "DBT_LOG_PATH": f"{folder}/logs"})
        lake = ErasableLake(home, find_project_dir())
        years = {"start": "1990-01-01T00:00:00Z", "end": "2030-01-01T00:00:00Z"}
        tenant = TenantSettings.model_validate({"time_range": years})
        lake.database.set_tenant_settings(TENANT, tenant)
        lake.tenant = tenant
        frame = file_of(data, rows)
        text = frame.head(-TOPIC_ROWS).write_csv()
        messages = [
            json.dumps({"tenant_id": TENANT, **row}).encode()
            for row in frame.tail(TOPIC_ROWS).iter_rows(named=True)
        ]
        wrong = frame.head(5_000).with_columns(interaction_type=pl.lit("nonsense")).write_csv()
        assert not lake.upload(catalogue_of(frame), DataType.ITEMS).counts.quarantined
        lake.upload(text)
        lake.upload(wrong)
        lane = stack.enter_context(topic_of(lake))
        lane.send(*messages)
        assert take_in(lane, len(messages)) == 0
        assert run_dbt(lake.settings, ["run", "--exclude", ON_REQUEST]).success
        gone = sorted(random.Random(5).sample(sorted(frame["user_id"].unique()), count))
        before = others(lake, gone)
        held = len(lake.search(*gone).findings)
        assert held

        stop, sent = Event(), list[int]()
        sender = Thread(target=keep_sending, args=(lake, stop, sent), daemon=True)
        sender.start()
        running = _run_of_the_models(home / "run.log")
        while lake.database.run_lock.holder() is None:
            assert running.poll() is None, "the run ended before it began"
            sleep(0.1)
        begun = perf_counter()
        request = lake.erase(*gone)
        waits = 0
        worker = Worker(lake.settings, lake.database, DbtModels(), lambda: datetime.now(UTC))
        while not (done := worker.work()[0]).completed:
            print(f"waits: {done.reasons}", file=sys.stderr)
            waits += 1
            sleep(2)
        seconds = perf_counter() - begun
        stop.set()
        sender.join()
        if running.wait():
            raise RuntimeError("the run of the models failed:\n" + (home / "run.log").read_text())
        certificate = lake.database.erasures.get(request).certificate
        assert certificate is not None
        _expect_nothing(lake, gone)
        after = others(lake, gone)
        replayed = lake.upload(text).counts
        lake.upload(wrong)
        lake.replay()
        from_topic = take_in(lane, len(messages), lane.topic())
        _expect_nothing(lake, gone)
        ledger = check_ledger(Lake(lake.settings))
        lake.close()
    return {
        "data": data.name,
        "rows": frame.height,
        "people": count,
        "places_before": held,
        "seconds": seconds,
        "waits": waits,
        "run_in_the_meantime_exit_code": running.returncode,
        "events_sent_meanwhile": sum(sent),
        "rows_deleted": certificate["rows_deleted"],
        "searched": certificate["searched"],
        "found_after": 0,
        "found_after_replays": 0,
        "replay": {"suppressed": replayed.suppressed, "stored": replayed.stored},
        "topic_replay": {"messages": len(messages), "suppressed": from_topic},
        "others_unchanged": {name: before[name] == after[name] for name in before},
        "ledger_wrong": len(ledger.wrong),
    }


def _expect_nothing(lake: ErasableLake, gone: list[str]) -> None:
    found = lake.search(*gone).findings
    assert not found, found[:3]


def _run_of_the_models(log: Path) -> "subprocess.Popen[bytes]":
    dbt = Path(sys.executable).with_name("dbt")
    with log.open("wb") as told:
        return subprocess.Popen(
            [dbt, "run", "--exclude", ON_REQUEST], stdout=told, stderr=subprocess.STDOUT
        )


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--rows", type=int, default=None, help="Only so many rows of the file.")
    given = parser.parse_args()
    print(json.dumps(run(given.data, given.people, given.rows), indent=2, default=str))


if __name__ == "__main__":
    main()
