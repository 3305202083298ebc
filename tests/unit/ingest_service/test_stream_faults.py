"""An error of any kind at any step of the loop: nothing is lost or stored twice, the rest flows."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep
from typing import Any

import polars as pl
import pytest
from kafka.errors import KafkaConnectionError, LogTruncationError

from ingest_service.readers.avro import AvroReader
from ingest_service.readers.registries import RegistryAwayError
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.kafka import isolation
from ingest_service.sources.kafka.sink import Bounds, StreamSink
from lakehouse.contracts.tenant import DataType
from lakehouse.storage.lake import Lake
from lakehouse.storage.stream_offsets import Partition
from tests.support.fake_kafka import FakeConsumer
from tests.support.stream import event, wait_for
from tests.support.stream_loop import ACME, OTHER, RECOVERED, STEPS, TENANTS, TOPIC, Loop

WITHIN = 5.0
"""Seconds of pauses after the last fault of a plan, with the default settings."""


class Panic(BaseException):
    """What a panic of a native library is."""


KINDS: list[Callable[[], BaseException]] = [
    lambda: KafkaConnectionError("away"),
    lambda: KeyError("a fault of the program"),
    lambda: OSError("a disk"),
]
NEVER = "11 prepare, answer lost"
"""What was prepared holds locks, and nothing comes between it and their release."""
BEGINNING = {"1 topics", "2 open", "3 bounds", "4 take over", "5 seek", "21 state"}
"""Steps that come when a session begins, so one is made to begin."""
IN_WORKER = {"9 decode", "10 validate", "11 prepare", "12 stage", "13 commit", "14 store"}


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    found = Loop(tmp_path, monkeypatch)
    yield found
    found.stop.set()
    if found.thread.ident is not None:
        found.thread.join(RECOVERED)


TOGETHER = 1 if os.environ.get("ETA_TEST_STREAM_FAULTS") == "each" else 6
"""How many steps fail for the same messages; `each`: every kind at every step, one by one."""


def plans() -> list[list[tuple[str, Callable[[], BaseException]]]]:
    steps = [f"{name}{when}" for _, _, name in STEPS for when in ("", ", answer lost")]
    steps.remove(NEVER)
    if TOGETHER == 1:
        return [[(step, kind)] for kind in KINDS for step in steps]
    pairs = [(step, KINDS[number % len(KINDS)]) for number, step in enumerate(steps)]
    return [pairs[at::TOGETHER] for at in range(TOGETHER)]


def test_errors_at_any_step_lose_nothing_and_store_nothing_twice(loop: Loop) -> None:
    loop.send(ACME)
    loop.wait_started()
    for plan in plans():
        for step, kind in plan:
            loop.faults.arm(step, kind)
        if any(step.partition(",")[0] in BEGINNING for step, _ in plan):
            loop.faults.arm("6 poll", lambda: KafkaConnectionError("away"))
        stored = [loop.send(part) for part in TENANTS]
        loop.send(ACME, interaction_type="stare")  # for quarantine
        loop.wait_stored(*stored)
        for step, _ in plan:
            wait_for(lambda step=step: loop.faults.is_spent(step), step, RECOVERED)
        assert loop.stop.seconds - loop.faults.last_at <= WITHIN, plan
    wait_for(lambda: loop.status.state == "consuming", "it consumes", RECOVERED)
    loop.end()


def test_offsets_that_kafka_refused_are_said_again_without_a_new_message(loop: Loop) -> None:
    loop.topics.refused_commits = 2
    loop.wait_stored_after_start(loop.send(ACME))
    wait_for(lambda: loop.topics.committed.get(ACME) == 1, "Kafka knows the offset", RECOVERED)
    assert loop.topics.refused_commits == 0
    loop.end()


def test_a_session_begins_by_telling_kafka_what_raw_holds(loop: Loop) -> None:
    loop.wait_stored_after_start(loop.send(ACME))
    wait_for(lambda: loop.topics.committed.get(ACME) == 1, "Kafka knows the offset", RECOVERED)
    loop.topics.committed.clear()
    loop.faults.arm("6 poll", lambda: KafkaConnectionError("away"))
    wait_for(lambda: loop.topics.committed.get(ACME) == 1, "it knows it again", RECOVERED)
    loop.end()


def test_a_panic_in_the_worker_is_no_end(loop: Loop) -> None:
    loop.send(ACME)
    loop.wait_started()
    for name in sorted(IN_WORKER):
        loop.faults.arm(name, Panic)
        loop.wait_stored(*(loop.send(part) for part in TENANTS))
    loop.end()


def test_a_message_that_always_fails_is_quarantined_and_its_neighbours_are_stored(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(AvroReader, "read", read)
    stored = [loop.send(ACME), loop.send(OTHER)]
    offset = loop.topics.append(ACME, b"\0\0\0\0\1poison", b"acme")
    stored += [loop.send(ACME), loop.send(OTHER)]
    loop.thread.start()
    loop.wait_stored(*stored)
    loop.end()
    aside = loop.quarantine()
    assert aside["reasons"][0][0]["code"] == "unreadable_message"
    assert bytes(aside["raw"][0]) == b"\0\0\0\0\1poison"
    assert aside["source_ref"].to_list() == [f"{TOPIC}:0:{offset:019}"]


def test_a_partition_that_always_fails_halts_alone_and_goes_on_when_it_can(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_broken = [True]
    store = StreamSink.store

    def broken(self: StreamSink, rows: Any, moves: Any, is_current: Any) -> None:
        if is_broken[0] and any(move.assignment.feed.partition.number == 0 for move in moves):
            raise KeyError("a fault of the program")
        store(self, rows, moves, is_current)

    monkeypatch.setattr(StreamSink, "store", broken)
    held = [loop.send(ACME) for _ in range(3)]
    loop.wait_stored_after_start(loop.send(OTHER))
    wait_for(lambda: loop.status.state == "degraded", "the alarm", RECOVERED)
    (halt,) = loop.status.halts
    assert halt["alarm"] == "batch_failed"
    assert f"partition 0 of {TOPIC} stands still before offset 0" in halt["message"]
    loop.wait_stored(loop.send(OTHER))
    assert not set(held) & set(loop.rows()["event_id"])
    is_broken[0] = False
    loop.wait_stored(*held)
    wait_for(lambda: loop.status.state == "consuming", "it consumes", RECOVERED)
    loop.end()


def test_many_messages_that_fail_are_a_fault_of_the_program_and_halt_their_partition(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(AvroReader, "read", read)
        for _ in range(isolation.MOST + 4):
            loop.topics.append(ACME, b"\0\0\0\0\1poison", b"acme")
        loop.wait_stored_after_start(loop.send(OTHER))
        wait_for(lambda: loop.status.state == "degraded", "the alarm", RECOVERED)
        assert loop.quarantine().height == 0
        loop.wait_stored(loop.send(OTHER))


def test_strange_messages_stop_nothing(loop: Loop) -> None:
    """Tombstones, no key, keys and headers that are no text, times that are none."""
    first = loop.send(ACME)
    append = loop.topics.append
    append(ACME, None, b"acme")
    append(ACME, None, None)
    append(ACME, b"", b"acme")
    append(ACME, event(1), b"\xff\xfe")
    append(ACME, event(2), b"../acme")
    append(ACME, b"\0", b"acme")
    append(ACME, b"\0\0\0\0\0", b"acme")
    append(ACME, b"[" * 5_000, b"acme")
    append(ACME, event(100), b"acme", timestamp=-1, headers=[("eta-mapping", None)])
    append(ACME, event(101), b"acme", timestamp=2**62, headers=[("eta-mapping", b"\xff")])
    append(ACME, event(102, timestamp=2**70), b"acme")
    append(ACME, event(103, timestamp=-(2**63)), b"acme")
    append(ACME, b'{"user_id": "\\ud800", "item_id": "i"}', b"acme")
    last = loop.send(OTHER)
    loop.thread.start()
    loop.wait_stored(first, last, "e100", "e101")
    loop.end()
    assert loop.status.halts == ()
    codes = {one["code"] for reasons in loop.quarantine()["reasons"] for one in reasons}
    assert "unreadable_message" not in codes


def test_a_topic_that_is_missing_is_an_alarm_until_it_is_there(loop: Loop) -> None:
    loop.missing = {"items-catalog"}
    loop.wait_stored_after_start(loop.send(ACME))
    assert loop.status.state == "degraded"
    assert [halt["alarm"] for halt in loop.status.halts] == ["topic_missing"]
    loop.missing = set()
    wait_for(lambda: loop.status.state == "consuming", "the alarm is over", RECOVERED)
    loop.end()


def test_a_gap_stops_its_partition_alone(loop: Loop) -> None:
    loop.wait_stored_after_start(loop.send(ACME), loop.send(OTHER))
    loop.topics.first[ACME] = 5
    loop.faults.arm("6 poll", lambda: KafkaConnectionError("away"))
    wait_for(lambda: loop.status.halts, "the alarm", RECOVERED)
    assert [halt["alarm"] for halt in loop.status.halts] == ["retention_gap"]
    loop.wait_stored(loop.send(OTHER))
    loop.topics.first[ACME] = 0
    loop.wait_stored(loop.send(ACME))
    assert loop.status.halts == ()
    loop.end()


def test_a_tenant_that_is_rejected_stops_nobody_and_is_named(loop: Loop) -> None:
    loop.wait_stored_after_start(loop.send(OTHER))
    for _ in range(30):
        loop.send(ACME, interaction_type="stare")
    wait_for(lambda: loop.status.rejects, "the alarm", RECOVERED)
    (alarm,) = loop.status.rejects
    assert (alarm["alarm"], alarm["tenant"]) == ("too_many_rejects", "acme")
    assert alarm["partition"] == f"{TOPIC}/0"
    assert "unknown_interaction_type" in alarm["message"]
    assert loop.status.state == "degraded"
    assert loop.status.halts == ()
    labels = {"topic": TOPIC, "partition": "0"}
    sample = loop.metrics.registry.get_sample_value
    assert sample("eta_stream_reject_alarms", labels) == 1
    loop.wait_stored(loop.send(OTHER), loop.send(ACME))
    for _ in range(3):  # corrected: the latest messages are good
        loop.wait_stored(*(loop.send(ACME) for _ in range(20)))
    wait_for(lambda: loop.status.state == "consuming", "the alarm is over", RECOVERED)
    assert sample("eta_stream_reject_alarms", labels) == 0
    assert loop.quarantine().height == 30
    loop.end()


def test_only_partitions_with_avro_wait_for_the_registry(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_away = [True]

    def read(_: AvroReader, __: Any, value: bytes) -> Any:
        if is_away[0]:
            raise RegistryAwayError("away")
        row = {"user_id": "u", "item_id": "i", "interaction_type": "view", "event_id": "avro"}
        return {**row, "timestamp": 1_700_000_000_000}, '{"fields": []}'

    monkeypatch.setattr(AvroReader, "read", read)
    loop.wait_stored_after_start(loop.send(ACME), loop.send(OTHER))
    loop.topics.append(ACME, b"\0\0\0\0\1avro", b"acme")
    held = [loop.send(ACME), loop.send(ACME)]
    wait_for(lambda: loop.status.halts, "the alarm", RECOVERED)
    for _ in range(3):
        held.append(loop.send(ACME))
        loop.wait_stored(loop.send(OTHER))
    (halt,) = loop.status.halts
    assert (halt["alarm"], halt["partition"]) == ("registry_away", f"{TOPIC}/0")
    assert loop.status.state == "degraded"
    assert not {"avro", *held} & set(loop.rows()["event_id"])
    is_away[0] = False
    loop.wait_stored("avro", *held)
    wait_for(lambda: loop.status.state == "consuming", "the alarm is over", RECOVERED)
    loop.end()


def test_a_partition_in_trouble_has_its_turn_beside_a_steady_flow(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others always have something to store, and it is stored without it."""
    poll = FakeConsumer.poll

    def steady(self: FakeConsumer, timeout_ms: int) -> Any:
        loop.send(ACME)
        sleep(0.01)
        return poll(self, timeout_ms)

    loop.wait_stored_after_start(loop.send(ACME), loop.send(OTHER))
    monkeypatch.setattr(FakeConsumer, "poll", steady)
    loop.faults.arm("14 store", lambda: KeyError("a fault of the program"))
    loop.wait_stored(loop.send(OTHER))
    monkeypatch.setattr(FakeConsumer, "poll", poll)
    loop.wait_stored(loop.send(ACME), loop.send(OTHER))
    loop.end()


def test_a_topic_that_ends_before_what_was_read_stops_its_partition_alone(loop: Loop) -> None:
    loop.wait_stored_after_start(*(loop.send(ACME) for _ in range(3)), loop.send(OTHER))
    log = loop.topics.logs[ACME]
    lost = log.pop()
    loop.faults.arm("6 poll", lambda: KafkaConnectionError("away"))
    wait_for(lambda: loop.status.halts, "the alarm", RECOVERED)
    (halt,) = loop.status.halts
    assert (halt["alarm"], halt["partition"]) == ("topic_recreated", f"{TOPIC}/0")
    assert "up to offset 3, but its messages end before that" in halt["message"]
    log.append(lost)
    loop.wait_stored(loop.send(OTHER), loop.send(ACME))
    loop.end()


def test_kafka_losing_messages_that_were_read_stops_their_partition_alone(loop: Loop) -> None:
    loop.wait_stored_after_start(loop.send(ACME), loop.send(OTHER))
    loop.faults.arm("6 poll", lambda: LogTruncationError({ACME: 0}))
    wait_for(lambda: loop.status.halts, "the alarm", RECOVERED)
    assert [halt["alarm"] for halt in loop.status.halts] == ["topic_truncated"]
    loop.wait_stored(loop.send(OTHER))
    assert loop.rows().filter(pl.col("tenant_id") == "acme").height == 1


def test_a_partition_lost_while_its_batch_is_stored_is_stored_once(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another consumer takes the partition over between two commits of this one's batch."""
    loop.wait_stored_after_start(loop.send(ACME), loop.send(OTHER))
    store, offsets, is_first = StreamSink.store, [], [True]

    def raced(self: StreamSink, rows: Any, moves: Any, is_current: Any) -> None:
        if is_first[0] and any(move.assignment.feed.partition.number == 0 for move in moves):
            is_first[0] = False
            part = Partition(TOPIC, 0)
            bounds = Bounds(0, len(loop.topics.logs[ACME]), 1)
            (assignment,) = StreamSink(DeltaSink(Lake(loop.lake))).take_over(
                {part: (DataType.INTERACTIONS, bounds)}
            )
            offsets.append(assignment.offset)
        store(self, rows, moves, is_current)
        offsets.extend(m.after for m in moves if m.assignment.feed.partition.number == 0)

    monkeypatch.setattr(StreamSink, "store", raced)
    loop.wait_stored(loop.send(ACME), loop.send(ACME), loop.send(OTHER))
    loop.wait_stored(loop.send(ACME))
    loop.end()  # no row twice, and the ledger counts each message once
    assert offsets[0] == 1
    assert offsets == sorted(offsets)
