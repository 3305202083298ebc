"""States of catalogue items: whatever way they came, the newest one counts."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.dedupe.occurrences import Occurrences
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.memory import MemorySink
from lakehouse.contracts.identity import repeated_ids
from lakehouse.contracts.order import arrival
from lakehouse.contracts.tables import RAW_ITEMS
from lakehouse.contracts.tenant import DataType, OnError, SourceMapping, TenantSettings
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.examples import examples
from tests.support.ingesting import ingest, service
from tests.unit.ingest_service.test_replaying import replay

START = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass(frozen=True)
class State:
    """A catalogue row: `hour` dates it, None says that it is so now."""

    item: int
    price: int
    hour: int | None = None

    @property
    def dated(self) -> datetime | None:
        return None if self.hour is None else START + timedelta(seconds=self.hour)

    def line(self) -> str:
        moment = "" if self.dated is None else str(int(self.dated.timestamp() * 1000))
        return f"i{self.item},{self.price},{moment}\n"


def feed(*prices: int) -> list[State]:
    """States of one item, undated."""
    return [State(0, price) for price in prices]


def csv(states: list[State]) -> str:
    return "item_id,price,updated_at\n" + "".join(map(State.line, states))


def current(rows: pl.DataFrame) -> dict[str, int]:
    """The newest price per item, as the models take it."""
    staged = rows.sort(arrival()).unique("event_id", keep="first", maintain_order=True)
    newest = staged.sort(arrival("updated_at")).group_by("item_id", maintain_order=True).last()
    return {item: int(price) for item, price in newest.select("item_id", "price").iter_rows()}


def expected(batches: list[list[State]]) -> dict[str, int]:
    """The same from what was sent: latest by its time, then by when it was said."""
    said: dict[str, tuple[datetime, int, int, int]] = {}
    dated: set[tuple[State, int]] = set()
    for number, batch in enumerate(batches, 1):
        last: dict[tuple[int, int | None], int] = {}
        runs: dict[State, int] = {}
        for position, state in enumerate(batch):
            if last.get((state.item, state.hour)) != state.price:
                runs[state] = runs.get(state, 0) + 1
            last[state.item, state.hour] = state.price
            if state.dated is not None and (state, runs[state]) in dated:
                continue  # sent again
            dated.add((state, runs[state]))
            moment = state.dated or START + timedelta(seconds=number)
            one = (moment, number, position, state.price)
            said[f"i{state.item}"] = max(one, said.get(f"i{state.item}", one))
    return {item: one[-1] for item, one in said.items()}


STATES = st.builds(
    State, st.integers(0, 1), st.integers(1, 3), st.one_of(st.none(), st.integers(-3, 1))
)


@settings(max_examples=examples(80), deadline=None)
@given(st.lists(st.lists(STATES, min_size=1, max_size=7), min_size=1, max_size=4), st.booleans())
def test_the_newest_state_counts(batches: list[list[State]], in_pieces: bool) -> None:
    sink = MemorySink()
    running = service(sink, chunk_bytes=30 if in_pieces else 10_000)
    with TemporaryDirectory() as folder:
        for number, batch in enumerate(batches):
            report = ingest(
                running, Path(folder), csv(batch), f"b{number}", data_type=DataType.ITEMS
            )
            assert report.counts.quarantined == 0
    tables = [pl.DataFrame(table) for _, table in sink.raw[DataType.ITEMS]]
    rows = pl.concat(tables, how="vertical_relaxed")
    assert current(rows) == expected(batches)


@pytest.mark.parametrize(
    ("batches", "price", "stored"),
    [
        pytest.param([feed(1, 2, 1)], 1, 3, id="one file"),
        pytest.param([feed(1), feed(2, 1)], 1, 3, id="back to what was known"),
        pytest.param([feed(1), feed(2), feed(1), feed(1)], 1, 3, id="several batches"),
        pytest.param([feed(1, 1), feed(1)], 1, 1, id="nothing new"),
        pytest.param([feed(10), [State(0, 12, 2)], feed(10)], 10, 3, id="a dated row in between"),
        pytest.param(
            [[*feed(10), State(0, 12, 1), *feed(10)], feed(10)], 10, 3, id="in between in one file"
        ),
    ],
)
@pytest.mark.parametrize("restarts", [False, True])
def test_states_that_come_again(
    tmp_path: Path, batches: list[list[State]], price: int, stored: int, restarts: bool
) -> None:
    lake = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(lake))
    sink = DeltaSink(Lake(lake))
    running = service(sink)
    clock = running._clock
    for number, batch in enumerate(batches):
        if restarts:
            running = service(sink)
            running._clock = clock
        ingest(running, tmp_path, csv(batch), f"b{number}", data_type=DataType.ITEMS)
        if restarts and number == 1:
            Lake(lake).table(RAW_ITEMS).optimize.compact()
    rows = pl.DataFrame(Lake(lake).table(RAW_ITEMS).to_pyarrow_table())
    assert (current(rows), rows.height) == ({"i0": price}, stored)


ONCE = [State(0, 1, -1), State(0, 2, -1), State(0, 1, -1)]


@pytest.mark.parametrize("chunk_bytes", [20, 10_000])
def test_a_row_of_one_time_that_comes_again_in_its_file_counts(
    tmp_path: Path, chunk_bytes: int
) -> None:
    lake = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(lake))
    running = service(DeltaSink(Lake(lake)), chunk_bytes=chunk_bytes)
    clock = running._clock
    for number in range(3):  # sent again it is nothing new, also after a restart
        if number == 2:
            running = service(DeltaSink(Lake(lake)), chunk_bytes=chunk_bytes)
            running._clock = clock
        ingest(running, tmp_path, csv(ONCE), f"b{number}", data_type=DataType.ITEMS)
    rows = pl.DataFrame(Lake(lake).table(RAW_ITEMS).to_pyarrow_table())
    assert (current(rows), rows.height) == ({"i0": 1}, 3)


def test_a_row_of_one_time_that_comes_again_in_another_file_is_that_row_sent_again(
    tmp_path: Path,
) -> None:
    lake = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(lake))
    running = service(DeltaSink(Lake(lake)))
    for number, state in enumerate(ONCE):
        ingest(running, tmp_path, csv([state]), f"b{number}", data_type=DataType.ITEMS)
    rows = pl.DataFrame(Lake(lake).table(RAW_ITEMS).to_pyarrow_table())
    assert (current(rows), rows.height) == ({"i0": 2}, 2)


def frame_of(states: list[tuple[int, int, str]]) -> pl.DataFrame:
    """Dated rows: item, time, what it says."""
    moments = [START + timedelta(seconds=moment) for _, moment, _ in states]
    return pl.DataFrame(
        {
            "row": pl.Series(range(len(states)), dtype=pl.UInt32),
            "item_id": [f"i{item}" for item, _, _ in states],
            "updated_at": pl.Series(moments, dtype=pl.Datetime("us", "UTC")),
            "event_id": [f"{item}-{moment}-{said}" for item, moment, said in states],
        }
    )


def prints_of(states: list[tuple[int, int, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "key": pl.Series(range(len(states)), dtype=pl.UInt128),
            "payload": pl.Series([hash(one) % 2**63 for one in states], dtype=pl.UInt64),
        }
    )


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from("ABC")), max_size=8
        ),
        max_size=4,
    )
)
def test_occurrences_are_counted_over_all_pieces(pieces: list[list[tuple[int, int, str]]]) -> None:
    counting = Occurrences(DataType.ITEMS)
    last: dict[tuple[int, int], str] = {}
    runs: dict[tuple[int, int, str], int] = {}
    for piece in pieces:
        rows, prints = counting.apply(frame_of(piece), prints_of(piece), None)
        for at, one in enumerate(piece):
            if last.get(one[:2]) != one[2]:
                runs[one] = runs.get(one, 0) + 1
            last[one[:2]] = one[2]
            plain = f"{one[0]}-{one[1]}-{one[2]}"
            numbers = pl.Series([runs[one] - 1], dtype=pl.UInt32)
            assert rows["event_id"][at] == repeated_ids(pl.Series([plain]), numbers)[0]
            assert (prints["key"][at] == at) == (runs[one] == 1)


def test_what_one_request_says_again_does_not_depend_on_who_shares_its_batch() -> None:
    states = [(0, 0, "A"), (0, 0, "B"), (0, 0, "A")]
    apart, _ = Occurrences(DataType.ITEMS).apply(
        frame_of(states), prints_of(states), None, pl.Series([0, 1, 2])
    )
    assert apart["event_id"].to_list() == frame_of(states)["event_id"].to_list()
    together, _ = Occurrences(DataType.ITEMS).apply(frame_of(states), prints_of(states), None)
    assert together["event_id"].n_unique() == 3


def test_a_replayed_state_does_not_replace_a_later_one_of_its_file(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(lake))
    running = service(DeltaSink(Lake(lake)))
    how = {"data_type": DataType.ITEMS, "on_error": OnError.QUARANTINE}
    ingest(running, tmp_path, "item_id,price\ni0,five\ni0,7\n", "b0", **how)
    mapping = SourceMapping(values={"price": {"five": "5"}})
    (done,) = replay(lake, settings=TenantSettings(sources={"default": mapping}))
    assert done.stored == 1
    rows = pl.DataFrame(Lake(lake).table(RAW_ITEMS).to_pyarrow_table())
    assert current(rows) == {"i0": 7}


def test_a_state_replayed_from_quarantine_is_of_the_time_it_was_sent(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(lake))
    running = service(DeltaSink(Lake(lake)))
    how = {"data_type": DataType.ITEMS, "on_error": OnError.QUARANTINE}
    ingest(running, tmp_path, "item_id,price\ni0,five\ni1,five\n", "b0", **how)
    ingest(running, tmp_path, "item_id,price\ni0,7\n", "b1", **how)
    mapping = SourceMapping(values={"price": {"five": "5"}})
    (done,) = replay(lake, settings=TenantSettings(sources={"default": mapping}))
    assert done.stored == 2
    rows = pl.DataFrame(Lake(lake).table(RAW_ITEMS).to_pyarrow_table())
    assert current(rows) == {"i0": 7, "i1": 5}
