"""The service on a memory sink."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.sinks.memory import MemorySink
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import DataType, OnError
from lakehouse.errors import EtaError
from lakehouse.privacy.suppression import NOBODY, Suppressed
from tests.support.examples import examples
from tests.support.ingesting import ingest, service
from tests.support.rows import HEADER, interactions_csv, lines

KEY = "tenant-secret"


def hashed(subject: str) -> str:
    """HMAC-SHA256 with Python's own library."""
    import hashlib
    import hmac

    return hmac.new(KEY.encode(), subject.encode(), hashlib.sha256).hexdigest()


class ListOf:
    """A suppression list that returns these states one after the other, then the last."""

    def __init__(self, *states: Suppressed) -> None:
        self._states = list(states)

    def current(self, tenant_id: str) -> Suppressed:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


EVENTS = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["view", "like", "view"]), st.integers(0, 9)),
    min_size=1,
    max_size=30,
)


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(EVENTS, min_size=1, max_size=3), st.sampled_from([64, 200, 10_000]))
def test_every_row_is_accounted_for(
    tmp_path: Path, files: list[list[tuple[int, str, int]]], chunk_bytes: int
) -> None:
    sink = MemorySink()
    suppressed = Suppressed(1, KEY, frozenset({hashed("u9")}))
    running = service(sink, ListOf(suppressed), chunk_bytes)
    known: dict[int, str] = {}
    for number, events in enumerate(files):
        body = "".join(
            f"e{event},u{user if event else 9},i1,{kind},1700000000000\n"
            for event, kind, user in [(e, k, 1) for e, k, _ in events]
        )
        report = ingest(running, tmp_path, f"event_id,{HEADER}{body}", f"b{number}")
        stored = duplicate = conflict = dropped = 0
        for event, kind, _ in events:
            if event == 0:
                dropped += 1
            elif event not in known:
                known[event] = kind
                stored += 1
            elif known[event] == kind:
                duplicate += 1
            else:
                conflict += 1
        counts = report.counts
        assert (counts.stored, counts.duplicate) == (stored, duplicate)
        assert (counts.quarantined, counts.suppressed) == (conflict, dropped)
        assert counts.received == len(events)
    tables = [table for _, table in sink.raw.get(DataType.INTERACTIONS, [])]
    assert sum(table.num_rows for table in tables) == len(known)
    assert sum(table.num_rows for _, table in sink.quarantined) == sum(
        counts.quarantined for _, counts in sink.ledger
    )


def test_good_rows_are_stored_and_wrong_ones_kept_with_bytes_and_every_reason(
    tmp_path: Path,
) -> None:
    sink = MemorySink()
    good = "".join(f"u{n},i1,view,{1_700_000_000_000 + n}\n" for n in range(40))
    bad = ',i1,stare,soon\n"u\nx",i3,view,1\n'
    body = HEADER + good + bad + good + "u1,,view,1700000000000\n"
    report = ingest(service(sink), tmp_path, body, on_error=OnError.QUARANTINE)

    assert report.is_stored
    counts = report.counts
    assert (counts.received, counts.stored, counts.duplicate, counts.quarantined) == (83, 40, 40, 3)
    assert [(e.line, e.code) for e in report.errors.kept] == [
        (42, "missing_value"),
        (42, "unknown_interaction_type"),
        (42, "bad_timestamp"),
        (43, "timestamp_out_of_range"),
        (85, "missing_value"),
    ]
    kept = [row for _, table in sink.quarantined for row in table.to_pylist()]
    assert [(row["raw"], row["source_ref"]) for row in kept] == [
        (b",i1,stare,soon", "line:0000000042"),
        (b'"u\nx",i3,view,1', "line:0000000043"),
        (b"u1,,view,1700000000000", "line:0000000085"),
    ]
    assert [[reason["code"] for reason in row["reasons"]] for row in kept] == [
        ["missing_value", "unknown_interaction_type", "bad_timestamp"],
        ["timestamp_out_of_range"],
        ["missing_value"],
    ]


def test_file_of_wrong_rows_alone_is_a_batch_of_quarantined_rows(tmp_path: Path) -> None:
    sink = MemorySink()
    report = ingest(service(sink), tmp_path, lines(",,,", "u,,,"), "b1", OnError.QUARANTINE)

    assert (report.is_stored, report.counts.stored, report.counts.quarantined) == (True, 0, 2)
    assert [counts.quarantined for _, counts in sink.ledger] == [2]


def test_wrong_row_of_an_erased_person_is_kept_nowhere(tmp_path: Path) -> None:
    sink = MemorySink()
    running = service(sink, ListOf(Suppressed(1, KEY, frozenset({hashed("u1"), hashed("a9")}))))
    body = lines("u1,i1,stare,1700000000000", "u2,i1,stare,1700000000000")
    report = ingest(running, tmp_path, body, on_error=OnError.QUARANTINE)
    clicks = "event_name,user_id,anonymous_id,session_id,timestamp\n"
    body = clicks + "".join(
        f"view,{user},{browser},s1,never\n" for user, browser in (("", "a9"), ("u2", "a1"))
    )
    seen = ingest(running, tmp_path, body, "b2", OnError.QUARANTINE, DataType.CLICKSTREAM)

    for counts in (report.counts, seen.counts):
        assert (counts.received, counts.suppressed, counts.quarantined) == (2, 1, 1)
    kept = b"".join(raw for _, table in sink.quarantined for raw in table["raw"].to_pylist())
    assert b"u1" not in kept
    assert b"a9" not in kept


def test_person_erased_while_the_file_is_read_is_not_stored(tmp_path: Path) -> None:
    sink = MemorySink()
    erased = Suppressed(2, KEY, frozenset({hashed("u1")}))
    running = service(sink, ListOf(NOBODY, erased))
    report = ingest(
        running, tmp_path, lines("u1,i1,view,1700000000000", "u2,i1,view,1700000000000")
    )

    assert (report.counts.stored, report.counts.suppressed) == (1, 1)
    ((_, rows),) = sink.raw[DataType.INTERACTIONS]
    assert rows.column("user_id").to_pylist() == ["u2"]


def test_list_that_never_rests_stores_nothing(tmp_path: Path) -> None:
    sink = MemorySink()
    states = [Suppressed(n, KEY, frozenset()) for n in range(20)]
    with pytest.raises(EtaError, match="kept changing"):
        ingest(service(sink, ListOf(*states)), tmp_path, interactions_csv(3))
    assert sink.ledger == []


def test_file_refused_late_stores_nothing_and_forgets_its_rows(tmp_path: Path) -> None:
    sink = MemorySink()
    running = service(sink)
    with pytest.raises(FileRefusedError) as caught:
        ingest(running, tmp_path, interactions_csv(50) + 'u1,i"1\n')
    report = ingest(running, tmp_path, interactions_csv(50))

    assert (caught.value.code, caught.value.line) == ("bad_quote", 52)
    assert report.counts.stored == 50


def test_fault_of_an_earlier_piece_is_told_before_a_later_one(tmp_path: Path) -> None:
    body = lines('u1,i"1') + interactions_csv(5_000).removeprefix(HEADER) + "u\0,i1,view,1\n"
    with pytest.raises(FileRefusedError) as caught:
        ingest(service(MemorySink(), chunk_bytes=64), tmp_path, body)
    assert caught.value.line == 2


def test_error_of_the_sink_is_raised_and_nothing_is_remembered(tmp_path: Path) -> None:
    class Failing(MemorySink):
        def begin(self, batch):  # type: ignore[no-untyped-def]
            raise OSError

    running = service(Failing())
    for _ in range(2):
        with pytest.raises(OSError):  # noqa: PT011
            ingest(running, tmp_path, interactions_csv(3))
