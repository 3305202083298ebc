"""Rows that repeat another one of their file are told apart from rows that were known before it."""

from pathlib import Path

import pytest

from ingest_service.pipeline.report import IngestReport
from ingest_service.sinks.memory import MemorySink
from lakehouse.cli.upload import show_report
from lakehouse.contracts.tenant import DataType, OnError
from tests.support.ingesting import ingest, service
from tests.support.rows import interactions_csv, lines

ROWS = interactions_csv(40)
TWICE = ROWS + "".join(ROWS.splitlines(keepends=True)[1:11])


def duplicates(report: IngestReport) -> tuple[int, int | None]:
    """Return all duplicates, and those that repeat a row of the file."""
    return report.counts.duplicate, report.repeated


def test_repeats_in_a_file_are_not_known_before_it(tmp_path: Path) -> None:
    running = service(MemorySink())
    assert duplicates(ingest(running, tmp_path, TWICE, "b1")) == (10, 10)
    assert duplicates(ingest(running, tmp_path, TWICE, "b2")) == (50, 0)
    more = TWICE + "".join(interactions_csv(5, first=90).splitlines(keepends=True)[1:]) * 2
    assert duplicates(ingest(running, tmp_path, more, "b3")) == (55, 5)


def test_repeats_within_one_piece_and_over_pieces_are_counted_alike(tmp_path: Path) -> None:
    for chunk_bytes in (100, 1_000_000):
        running = service(MemorySink(), chunk_bytes=chunk_bytes)
        assert duplicates(ingest(running, tmp_path, TWICE, "b1")) == (10, 10)


def test_repeated_states_of_a_catalogue(tmp_path: Path) -> None:
    running = service(MemorySink())
    body = lines("i1,1", "i1,1", "i2,5", "i1,2", "i1,2", header="item_id,price\n")
    report = ingest(running, tmp_path, body, "b1", data_type=DataType.ITEMS)
    assert (report.counts.stored, *duplicates(report)) == (3, 2, 2)
    again = lines("i1,2", "i1,2", "i2,5", header="item_id,price\n")
    report = ingest(running, tmp_path, again, "b2", data_type=DataType.ITEMS)
    assert (report.counts.stored, *duplicates(report)) == (0, 3, 0)


def test_a_refused_file_repeats_nothing(tmp_path: Path) -> None:
    running = service(MemorySink())
    wrong = TWICE + "u,i,nothing,x\n"
    assert duplicates(ingest(running, tmp_path, wrong, "b1")) == (0, 0)
    report = ingest(running, tmp_path, wrong, "b2", on_error=OnError.QUARANTINE)
    assert duplicates(report) == (10, 10)


@pytest.mark.parametrize(
    ("repeated", "said"),
    [
        (0, "12 known already, 3 in quarantine"),
        (5, "7 known already, 5 repeated in the file, 3 in quarantine"),
        (None, "12 known already, 3 in quarantine"),
    ],
)
def test_the_summary_of_an_upload(
    capsys: pytest.CaptureFixture[str], repeated: int | None, said: str
) -> None:
    counts = {"rows_received": 20, "rows_accepted": 5, "duplicates": 12, "quarantined": 3}
    nothing = {"warning_count": 0, "error_count": 0, "dry_run": False, "row_issues_url": None}
    show_report("f.csv", {"status": "success", "repeated_in_file": repeated, **counts, **nothing})
    assert said in capsys.readouterr().err
