"""Offsets move with the rows: whoever comes late, dies or repeats, each message is stored once."""

import copy
import json
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.readers.avro import AvroReader
from ingest_service.readers.messages import MessageReader
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.recovery import recover
from ingest_service.sources.kafka.intake import Intake, Prepared
from ingest_service.sources.kafka.positions import PartitionBatch
from ingest_service.sources.kafka.sink import (
    Assignment,
    Bounds,
    FencedError,
    StreamHaltError,
    StreamSink,
)
from ingest_service.stream.encoding import AvroEncoder
from lakehouse.contracts.avro_schemas import avro_schema
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.privacy.suppression import NOBODY, EmptySuppressionList, Suppressed
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.stream_offsets import Partition
from lakehouse.storage.tables import ensure_tables
from tests.support.power_cut import disk_of
from tests.support.stream import event

KIND = DataType.INTERACTIONS
TOPIC = "interactions-raw"


class AnyTenant:
    def __init__(self) -> None:
        self.own = TenantSettings()

    def begin(self) -> None: ...

    def settings(self, tenant_id: str) -> TenantSettings | None:
        return self.own if tenant_id in ("acme", "other") else None


class Process:
    """A consumer without Kafka: a sink, an intake, and the assignments it believes it has."""

    def __init__(self, lake: LakeSettings, suppression=None) -> None:
        delta = DeltaSink(Lake(lake))
        self.tenants = tenants = AnyTenant()
        self.sink = StreamSink(delta)
        self.suppression = suppression or EmptySuppressionList()
        self.intake = Intake(
            MessageReader(AvroReader(None), tenants.settings, 1_000_000),
            tenants,
            DedupeWindows(),
            DeltaHistory(delta),
            self.suppression,
            lambda: datetime.now(UTC),
        )
        self.assignments: dict[int, Assignment] = {}

    def take_over(self, *numbers: int, end: int = 1_000, first: int = 0, topic: int = 1) -> None:
        wanted = {Partition(TOPIC, n): (KIND, Bounds(first, end, topic)) for n in numbers}
        for assignment in self.sink.take_over(wanted):
            self.assignments[assignment.feed.partition.number] = assignment

    def prepare(self, count: int, *numbers: int) -> Prepared:
        parts = []
        for number in numbers:
            assignment = self.assignments[number]
            offsets = range(assignment.offset, assignment.offset + count)
            parts.append(
                PartitionBatch(
                    assignment, [message(number, offset) for offset in offsets], offsets[-1] + 1
                )
            )
        return self.intake.prepare(parts)

    def store(self, prepared: Prepared) -> None:
        with prepared.held:
            self.sink.store(
                prepared.rows, prepared.ranges, lambda: self.intake.is_current(prepared)
            )
            prepared.publish()
        for move in prepared.ranges:
            assignment = move.assignment
            moved = Assignment(assignment.feed, assignment.data_type, assignment.epoch, move.after)
            self.assignments[assignment.feed.partition.number] = moved

    def die_half_way(self, count: int, *numbers: int) -> None:
        half = self.prepare(count, *numbers)
        with half.held:
            rows = half.rows
            self.sink._commit(
                OPS_INGEST_LEDGER,
                rows.ledger,
                rows.ingest_date,
                half.ranges,
                rows.name,
                lambda: self.intake.is_current(half),
            )

    def run(self, count: int, *numbers: int) -> None:
        self.store(self.prepare(count, *numbers))


def message(number: int, offset: int) -> SimpleNamespace:
    """Every tenth message is broken, so that every batch may have rows in quarantine."""
    value = b"{" if offset % 10 == 3 else event(1_000 * number + offset)
    return SimpleNamespace(key=b"acme", value=value, offset=offset, timestamp=0, headers=())


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    found = LakeSettings(home=tmp_path)
    ensure_tables(Lake(found))
    return found


def places(lake: LakeSettings) -> list[str]:
    tables = (
        Lake(lake).table(spec).to_pyarrow_table() for spec in (RAW_INTERACTIONS, RAW_QUARANTINE)
    )
    return sorted(place for table in tables for place in table["source_ref"].to_pylist())


def test_settings_of_lines_are_told_of_each_message(lake: LakeSettings) -> None:
    process = Process(lake)
    process.take_over(0)
    process.tenants.own = TenantSettings(
        sources={"kafka": SourceMapping(comment="#", skip_lines=1)}
    )
    prepared = process.prepare(3, 0)
    with prepared.held:
        assert prepared.warnings[KIND, "unread_settings"] == 3


def expected(**counts: int) -> list[str]:
    return sorted(
        Partition(TOPIC, int(name[1:])).place(offset)
        for name, count in counts.items()
        for offset in range(count)
    )


def assert_whole(lake: LakeSettings, **counts: int) -> None:
    """Every message of the partitions stands in raw or quarantine once, and the ledger says so."""
    assert places(lake) == expected(**counts)
    check = check_ledger(Lake(lake))
    assert (check.received, check.wrong, check.unfinished) == (sum(counts.values()), (), 0)


def test_a_message_that_names_another_tenant_than_its_key_is_kept_when_it_comes_alone(
    lake: LakeSettings,
) -> None:
    process = Process(lake)
    process.take_over(0)
    value = json.dumps({**json.loads(event(1)), "tenant_id": "other"}).encode()
    alone = SimpleNamespace(key=b"acme", value=value, offset=0, timestamp=0, headers=())
    process.store(process.intake.prepare([PartitionBatch(process.assignments[0], [alone], 1)]))

    (kept,) = Lake(lake).table(RAW_QUARANTINE).to_pyarrow_table()["reasons"].to_pylist()
    assert [reason["code"] for reason in kept] == ["tenant_mismatch"]
    check = check_ledger(Lake(lake))
    assert (check.received, check.wrong, check.unfinished) == (1, (), 0)


def test_a_consumer_that_comes_late_stores_nothing_and_leaves_nothing(lake: LakeSettings) -> None:
    old, new = Process(lake), Process(lake)
    old.take_over(0, 1)
    old.run(10, 0, 1)
    late = old.prepare(20, 0, 1)
    new.take_over(0)
    with pytest.raises(FencedError):
        old.store(late)
    assert new.assignments[0].offset == 10
    new.run(15, 0)
    old.take_over(1)
    old.run(5, 1)
    assert_whole(lake, p0=25, p1=15)


def test_a_take_over_between_ledger_and_raw_keeps_the_late_one_out(lake: LakeSettings) -> None:
    old, new = Process(lake), Process(lake)
    old.take_over(0)
    old.run(10, 0)
    late = old.prepare(20, 0)

    def pause() -> bool:
        new.take_over(0)
        return True

    with late.held, pytest.raises(FencedError):
        old.sink.store(late.rows, late.ranges, pause)
    new.run(15, 0)
    assert_whole(lake, p0=25)


@pytest.mark.parametrize("survived", [1, 2])
def test_what_a_killed_consumer_left_beside_raw_is_removed(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    dead, heir = Process(lake), Process(lake)
    dead.take_over(0)
    dead.run(10, 0)
    steps = []
    commit = StreamSink._commit

    def killed(self, spec, *rest) -> None:
        if len(steps) == survived:
            raise KeyboardInterrupt
        steps.append(spec)
        commit(self, spec, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(StreamSink, "_commit", killed)
        with pytest.raises(KeyboardInterrupt):
            dead.run(20, 0)
    assert steps == [RAW_QUARANTINE, OPS_INGEST_LEDGER][:survived]
    assert check_ledger(Lake(lake)).unfinished == 1

    heir.take_over(0)
    assert heir.assignments[0].offset == 10
    assert check_ledger(Lake(lake)).unfinished == 0
    heir.run(30, 0)
    assert_whole(lake, p0=40)


def test_a_batch_whose_answer_was_lost_is_stored_once(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(lake)
    process.take_over(0, 1)
    prepared = process.prepare(20, 0, 1)
    commit = DeltaSink.commit_checked
    answers = iter([True, False, True, False, True, False])

    def lossy(self, *rest):
        done = commit(self, *rest)
        if next(answers, False):
            raise OSError("the answer was lost")
        return done

    monkeypatch.setattr(DeltaSink, "commit_checked", lossy)
    for _ in range(3):
        with pytest.raises(OSError, match="lost"):
            process.sink.store(prepared.rows, prepared.ranges, lambda: True)
        next(answers, None)
    process.store(prepared)
    assert_whole(lake, p0=20, p1=20)


def test_an_erasure_while_messages_are_read_stores_nothing(lake: LakeSettings) -> None:
    class List:
        version = 1

        def current(self, tenant_id: str) -> Suppressed:
            return NOBODY if self.version == 1 else Suppressed(self.version, "", frozenset())

    known = List()
    process = Process(lake, known)
    process.take_over(0)
    prepared = process.prepare(10, 0)
    known.version = 2
    with pytest.raises(FencedError, match="erased"):
        process.store(prepared)
    process.take_over(0)
    process.run(10, 0)
    assert_whole(lake, p0=10)


def test_the_services_recovery_leaves_batches_from_topics_alone(lake: LakeSettings) -> None:
    from datetime import timedelta

    process = Process(lake)
    process.take_over(0, first=3)
    process.run(1, 0)  # a message that is no row: nothing of the batch stands in raw
    assert recover(DeltaSink(Lake(lake)), timedelta(0), lambda *_: True).removed == 0
    assert Lake(lake).table(RAW_INTERACTIONS).count() == 0
    check = check_ledger(Lake(lake))
    assert (check.received, check.wrong, check.unfinished) == (1, (), 0)


@pytest.mark.parametrize(
    ("bounds", "alarm"),
    [
        pytest.param({"end": 9}, "topic_recreated", id="offsets below the stored ones"),
        pytest.param({"topic": 2}, "topic_recreated", id="another topic of the name"),
        pytest.param({"first": 11}, "retention_gap", id="messages deleted unread"),
    ],
)
def test_a_topic_that_does_not_fit_the_lake_is_told(
    lake: LakeSettings, bounds: dict[str, int], alarm: str
) -> None:
    process = Process(lake)
    process.take_over(0)
    process.run(10, 0)
    with pytest.raises(StreamHaltError) as halt:
        Process(lake).take_over(0, **bounds)
    assert halt.value.alarm == alarm


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take over", "run", "prepare", "store", "die half way"]),
        st.integers(0, 1),
        st.sampled_from([(0,), (1,), (0, 1)]),
        st.integers(1, 12),
    ),
    max_size=14,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
def test_any_order_of_two_consumers_stores_each_message_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, tuple[int, ...], int]]
) -> None:
    lake = LakeSettings(home=tmp_path_factory.mktemp("lake"))
    ensure_tables(Lake(lake))
    processes = [Process(lake), Process(lake)]
    ready: list[Prepared | None] = [None, None]
    for step, who, numbers, count in steps:
        process = processes[who]
        mine = tuple(n for n in numbers if n in process.assignments)
        prepared = ready[who]
        try:
            if step == "take over":
                process.take_over(*numbers)
            elif step == "store" and prepared is not None:
                ready[who] = None
                process.store(prepared)
            elif mine and prepared is None and step == "prepare":
                ready[who] = process.prepare(count, *mine)
            elif mine and prepared is None and step == "run":
                process.run(count, *mine)
            elif mine and prepared is None and step == "die half way":
                process.die_half_way(count, *mine)
                processes[who] = Process(lake)
        except FencedError:
            for number in mine:
                process.assignments.pop(number, None)
    last = Process(lake)
    last.take_over(0, 1)
    stored = {f"p{n}": assignment.offset for n, assignment in last.assignments.items()}
    assert_whole(lake, **stored)


def test_stored_messages_and_their_offsets_outlast_a_power_cut(
    lake: LakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with disk_of(Path(lake.lake), monkeypatch) as disk:
        process = Process(lake)
        process.take_over(0)
        for run in range(1, 4):
            process.run(10, 0)
            disk.after_a_cut(tmp_path / f"cut{run}")
            cut = LakeSettings(home=tmp_path, lake_uri=str(tmp_path / f"cut{run}"))
            assert Lake(cut).table(RAW_INTERACTIONS).count() == 9 * run
            assert Lake(cut).table(RAW_QUARANTINE).count() == run
            late = Process(cut)
            late.take_over(0)
            assert late.assignments[0].offset == 10 * run
            assert check_ledger(Lake(cut)).is_clean


def test_what_is_odd_about_messages_is_counted(lake: LakeSettings) -> None:
    process = Process(lake)
    process.take_over(0)
    odd = json.loads(event(1)) | {"user_id": "NULL", "Rating": 4}
    value = json.dumps(odd).encode()
    record = SimpleNamespace(key=b"acme", value=value, offset=0, timestamp=0, headers=())
    prepared = process.intake.prepare([PartitionBatch(process.assignments[0], [record], 1)])
    process.store(prepared)
    assert prepared.tallies[KIND]["stored"] == 1
    assert prepared.warnings == {(KIND, "null_word"): 1, (KIND, "similar_column"): 1}


def test_fields_that_only_the_writers_schema_has_are_counted(lake: LakeSettings) -> None:
    schema = copy.deepcopy(avro_schema(KIND))
    schema["fields"].append({"name": "Rating", "type": "double", "default": 0.0})
    sent = {"user_id": "u", "item_id": "i", "interaction_type": "view", "Rating": 4.5}
    body = BytesIO()
    written = fastavro.parse_schema(copy.deepcopy(schema))
    fastavro.schemaless_writer(body, written, sent | {"timestamp": 1_767_225_600_000})
    reader = AvroReader(SimpleNamespace(schema=lambda _: schema))
    value = b"\0" + (7).to_bytes(4, "big") + body.getvalue()
    record = SimpleNamespace(key=b"acme", value=value, offset=0, timestamp=0, headers=())
    process = Process(lake)
    process.intake._reader = MessageReader(reader, AnyTenant().settings, 1_000_000)
    process.take_over(0)
    prepared = process.intake.prepare([PartitionBatch(process.assignments[0], [record], 1)])
    process.store(prepared)
    assert prepared.tallies[KIND]["stored"] == 1
    assert prepared.warnings == {(KIND, "similar_column"): 1}


def test_fields_that_avro_cannot_carry_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    encoder = AvroEncoder(SimpleNamespace(head=lambda _: b"\0\0\0\0\1"))
    row = {"user_id": "u", "item_id": "i", "interaction_type": "view", "timestamp": 1}
    for _ in range(2):
        encoder.encode("acme", KIND, row | {"Rating": 4, "context": {"os": "secret"}})
    assert caplog.messages == [
        "the field Rating of interactions is ignored, though it is nearly 'rating'",
        "the field context.os of interactions is ignored: the contract has no such field",
    ]
