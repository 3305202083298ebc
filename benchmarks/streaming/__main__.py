"""`python -m benchmarks.streaming --seconds 300 --out streaming.json --plot streaming.png`.

On one broker and the same messages: how soon rows are readable at 5,000 messages per second, and
how many messages per second a backlog is read at, by `eta consume`, by a bare loop of kafka-python
and orjson that stores nothing, and by Spark Structured Streaming into Delta.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.streaming.measuring import (
    Looks,
    bare_loop,
    rows_of,
    running,
    summary,
    timestamps,
    wait,
)
from benchmarks.streaming.sender import TENANT, send
from lakehouse.contracts.topics import topics
from lakehouse.control.database import ControlDatabase
from lakehouse.dev.kafka import BOOTSTRAP, ensure_topics, start_broker, stop_broker
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

WAIT_SECONDS: Final = 180.0
RAW: Final = "lake/raw/interactions"


class Run:
    """One run: a broker, a folder for everything, the figures."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.folder = folder
        self.rate = rate
        self.settings = LakeSettings(home=folder / "broker")
        self.bootstrap = start_broker(self.settings, ()).addresses[BOOTSTRAP]

    def eta_latency(self, seconds: float) -> npt.NDArray[np.float64]:
        """Return latencies of `eta consume`."""
        home, prefix = self._lake("latency"), "eta-latency-"
        ensure_topics(self.bootstrap, topics(prefix))
        with self._consumer(home, prefix):
            return self._latencies(str(home / RAW), prefix, seconds)

    def spark_latency(self, seconds: float) -> npt.NDArray[np.float64]:
        """Return latencies of Structured Streaming."""
        folder, prefix = self.folder / "spark-latency", "spark-latency-"
        folder.mkdir()
        ensure_topics(self.bootstrap, topics(prefix))
        peer = ["benchmarks.streaming.spark_peer", self.bootstrap, f"{prefix}interactions-raw"]
        with running([*peer, str(folder)], self.folder / "spark.log"):
            wait((folder / "started").exists, WAIT_SECONDS, "Spark starts")
            send(self.bootstrap, prefix, 100)
            wait(lambda: rows_of(str(folder / "table")) >= 100, WAIT_SECONDS, "Spark is warm")
            return self._latencies(str(folder / "table"), prefix, seconds, before=100)

    def rates(self, count: int) -> dict[str, float]:
        """Return messages per second over a backlog of so many."""
        prefix = "rate-"
        ensure_topics(self.bootstrap, topics(prefix))
        send(self.bootstrap, prefix, count)
        topic = f"{prefix}interactions-raw"
        found = {"bare loop": bare_loop(self.bootstrap, topic, count)}
        home = self._lake("rate")
        with self._consumer(home, prefix):
            found["eta consume"] = _speed(str(home / RAW), count)
        folder = self.folder / "spark-rate"
        folder.mkdir()
        peer = ["benchmarks.streaming.spark_peer", self.bootstrap, topic, str(folder), "--all"]
        with running(peer, self.folder / "spark.log"):
            wait((folder / "started").exists, WAIT_SECONDS, "Spark starts")
            began = time.perf_counter()
            wait(lambda: rows_of(str(folder / "table")) >= count, WAIT_SECONDS, "Spark's rows")
            found["Structured Streaming"] = count / (time.perf_counter() - began)
        return {name: round(value) for name, value in found.items()}

    def _latencies(
        self, table: str, prefix: str, seconds: float, before: int = 0
    ) -> npt.NDArray[np.float64]:
        count = int(seconds * self.rate)
        sender = ["benchmarks.streaming.sender", self.bootstrap, prefix, str(count)]
        looks = Looks(table)
        total = before + count
        with (
            looks.looking(),
            running([*sender, "--rate", str(self.rate)], self.folder / "send.log"),
        ):
            wait(lambda: rows_of(table) >= total, seconds + WAIT_SECONDS, "all rows")
            time.sleep(0.2)
        made_at = timestamps(self.bootstrap, f"{prefix}interactions-raw", total)
        return looks.latencies(made_at)[before:]

    def _lake(self, name: str) -> Path:
        lake = LakeSettings(home=self.folder / name)
        ensure_tables(Lake(lake))
        control = ControlDatabase.open(lake.control_url)
        control.tenants.add(TENANT)
        control.close()
        return lake.home_dir

    def _consumer(self, home: Path, prefix: str) -> Any:
        return running(
            ["ingest_service.stream"],
            self.folder / "consumer.log",
            ETA_HOME=str(home),
            ETA_STREAM_BOOTSTRAP_SERVERS=self.bootstrap,
            ETA_STREAM_TOPIC_PREFIX=prefix,
        )


def _speed(table: str, count: int) -> float:
    """Return rows per second from the first stored batch to the last."""
    wait(lambda: rows_of(table) > 0, WAIT_SECONDS, "the first rows")
    began, first = time.perf_counter(), rows_of(table)
    wait(lambda: rows_of(table) >= count, WAIT_SECONDS, "all rows")
    return (count - first) / (time.perf_counter() - began)


def plot(latencies: dict[str, npt.NDArray[np.float64]], rates: dict[str, float], to: Path) -> None:
    """Draw latencies as shares of messages, and rates as bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, values in latencies.items():
        ordered = np.sort(values)
        left.plot(ordered, np.linspace(0, 1, len(ordered)), label=name)
    left.axvline(2, color="grey", linestyle=":", linewidth=1)
    left.set(xlabel="seconds from produced to readable", ylabel="share of messages", ylim=(0, 1))
    left.set_xscale("log")
    left.legend()
    right.barh(list(rates), list(rates.values()))
    right.set(xlabel="messages per second, one backlog")
    figure.savefig(to, dpi=120)


def main() -> int:
    """Measure, print, return 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--spark-seconds", type=float, default=45)
    parser.add_argument("--rate", type=float, default=5_000)
    parser.add_argument("--backlog", type=int, default=400_000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eta-streaming-") as scratch:
        run = Run(Path(scratch), options.rate)
        try:
            rates = run.rates(options.backlog)
            print(json.dumps(rates), file=sys.stderr, flush=True)
            latencies = {"eta consume": run.eta_latency(options.seconds)}
            print(json.dumps(summary(latencies["eta consume"])), file=sys.stderr, flush=True)
            if options.spark_seconds:
                latencies["Structured Streaming"] = run.spark_latency(options.spark_seconds)
        finally:
            stop_broker(run.settings)
    found = {
        "rate": options.rate,
        "seconds": options.seconds,
        "latency_seconds": {name: summary(values) for name, values in latencies.items()},
        "messages_per_second": rates,
        "share_of_bare_loop": round(rates["eta consume"] / rates["bare loop"], 3),
    }
    print(json.dumps(found, indent=2))
    if options.out:
        options.out.write_text(json.dumps(found, indent=2), encoding="utf-8")
    if options.plot:
        plot(latencies, rates, options.plot)
    kept = found["latency_seconds"]["eta consume"]["p99"] < 2 and found["share_of_bare_loop"] >= 0.5
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
