"""The window's promise on a lake: a file of any size is known when it is sent again."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.ingest import IngestService
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_ITEMS
from lakehouse.contracts.tenant import DataType
from lakehouse.privacy.suppression import EmptySuppressionList
from lakehouse.settings import LakeSettings
from lakehouse.storage import staging
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.examples import examples
from tests.support.ingesting import Ticks, ingest
from tests.support.rows import FIRST_MS, interactions_csv

WINDOW = 200
ROWS = 900
LONG = "u" * 200
"""So that a file is read in several pieces."""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake in which a batch has several data files of several row groups."""
    monkeypatch.setattr(staging, "TARGET_FILE_BYTES", 20_000)
    monkeypatch.setattr(staging, "ROW_GROUP_ROWS", 50)
    made = Lake(LakeSettings(home=tmp_path / "home"))
    ensure_tables(made)
    return made


@pytest.fixture
def started(tmp_path: Path, lake: Lake) -> Callable[[], IngestService]:
    """Return services with small windows, all by one clock: each as after a restart."""
    clock = Ticks()

    def start() -> IngestService:
        sink = DeltaSink(lake)
        windows = DedupeWindows(WINDOW, WINDOW, tmp_path / "spool")
        return IngestService(
            sink, DeltaHistory(sink), windows, EmptySuppressionList(), clock, chunk_bytes=20_000
        )

    return start


def states_csv(rows: int, price: int, updated_at: str) -> str:
    """Return catalogue rows, dated or as they are now."""
    lines = [f"i{number},{price},{updated_at},{LONG}\n" for number in range(rows)]
    return "item_id,price,updated_at,title\n" + "".join(lines)


@pytest.mark.parametrize(
    "is_restarted", [pytest.param(True, id="restarted"), pytest.param(False, id="same process")]
)
@pytest.mark.parametrize("is_merged", [False, True])
def test_a_file_over_the_window_is_known_when_it_comes_again(
    tmp_path: Path,
    lake: Lake,
    started: Callable[[], IngestService],
    is_restarted: bool,
    is_merged: bool,
) -> None:
    service = started()
    ingest(service, tmp_path, interactions_csv(30, first=1_000), "b0")
    stored = []
    for number in range(3):
        body = interactions_csv(ROWS, user=LONG)
        stored.append(ingest(service, tmp_path, body, f"b{number + 1}").counts.stored)
        if number == 0:
            assert len(lake.table(RAW_INTERACTIONS).file_uris()) > 2
        if is_merged:
            lake.table(RAW_INTERACTIONS).optimize.compact()
        if is_restarted:
            service = started()

    assert stored == [ROWS, 0, 0]


def test_a_file_that_is_merged_in_part_is_known_whole(
    tmp_path: Path, lake: Lake, started: Callable[[], IngestService]
) -> None:
    ingest(started(), tmp_path, interactions_csv(ROWS, user=LONG), "b1")
    ingest(started(), tmp_path, interactions_csv(5, first=500), "b2")
    table = lake.table(RAW_INTERACTIONS)
    sizes = sorted(table.get_add_actions(flatten=True)["size_bytes"].to_pylist())
    table.optimize.compact(target_size=sizes[0] + sizes[-1] + 1_000)
    assert len(table.file_uris()) == 2

    counts = ingest(started(), tmp_path, interactions_csv(ROWS, user=LONG), "b3").counts
    assert (counts.stored, counts.duplicate) == (0, ROWS)


def test_a_file_of_another_process_is_known_whole(
    tmp_path: Path, started: Callable[[], IngestService]
) -> None:
    mine, other = started(), started()
    ingest(mine, tmp_path, interactions_csv(5, first=500), "b1")
    ingest(other, tmp_path, interactions_csv(ROWS, user=LONG), "b2")
    counts = ingest(mine, tmp_path, interactions_csv(ROWS, user=LONG), "b3").counts
    assert (counts.stored, counts.duplicate) == (0, ROWS)


@pytest.mark.parametrize("updated_at", ["", "17000000{price}0000"])
@pytest.mark.parametrize("is_merged", [False, True])
def test_a_catalogue_over_the_window_is_known_and_its_states_are_the_newest(
    tmp_path: Path,
    lake: Lake,
    started: Callable[[], IngestService],
    updated_at: str,
    is_merged: bool,
) -> None:
    stored = []
    for number, price in enumerate((1, 1, 2, 2, 1, 1)):
        body = states_csv(ROWS, price, updated_at.format(price=price))
        counts = ingest(started(), tmp_path, body, f"b{number}", data_type=DataType.ITEMS).counts
        stored.append(counts.stored)
        if is_merged:
            lake.table(RAW_ITEMS).optimize.compact()

    # a dated row that was sent before is known; a state that comes back is news
    assert stored[:4] == [ROWS, 0, ROWS, 0]
    assert updated_at or stored[4:] == [ROWS, 0]


@settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(st.integers(0, 120), st.integers(1, 60), st.booleans(), st.booleans()),
        min_size=2,
        max_size=6,
    )
)
def test_what_is_read_back_is_what_the_window_promises(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[int, int, bool, bool]]
) -> None:
    """The newest rows up to the window, and all of the batch that the oldest of them came with."""
    home = tmp_path_factory.mktemp("home")
    lake = Lake(LakeSettings(home=home))
    ensure_tables(lake)
    clock = Ticks()

    def start() -> IngestService:
        sink = DeltaSink(lake)
        windows = DedupeWindows(20, 20, home / "spool")
        return IngestService(sink, DeltaHistory(sink), windows, EmptySuppressionList(), clock)

    service, stored = start(), list[set[int]]()
    for number, (first, rows, is_restarted, is_merged) in enumerate(batches):
        service = start() if is_restarted else service
        if is_merged:
            lake.table(RAW_INTERACTIONS).optimize.compact()
        promised, room = set[int](), 20
        for batch in reversed(stored):
            promised |= batch if room > 0 else set()
            room -= len(batch)
        sent, ever = set(range(first, first + rows)), set().union(*stored)
        body = interactions_csv(rows, first=first)
        counts = ingest(service, home, body, f"b{number}").counts
        assert len(sent & promised) <= counts.duplicate <= len(sent & ever)
        rows = pl.DataFrame(lake.table(RAW_INTERACTIONS).to_pyarrow_table())
        mine = rows.filter(pl.col("batch_id") == f"b{number}")["event_time"].dt.epoch("ms")
        stored.append(set(((mine - FIRST_MS) // 1_000).to_list()))
