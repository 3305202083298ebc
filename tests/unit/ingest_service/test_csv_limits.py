"""Files at a limit: each is an answer that says so, and none is an accident."""

from pathlib import Path

import pytest

from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.reader import RECORD_BYTES, CsvFile
from ingest_service.sinks.memory import MemorySink
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import OnError
from tests.support.rows import HEADER
from tests.unit.ingest_service.test_csv_cases import ROW, kept, refusal, take

BAD = ROW.replace("u1", "").replace(",i1", "i1")


@pytest.mark.parametrize("on_error", OnError)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param("a" * 131_073 + "\n1\n", "header_too_long", id="a long name"),
        pytest.param('"' + "a\n" * 70_000 + '"\n1\n', "header_too_long", id="a name of lines"),
        pytest.param('"' + "a" * 70_000, "bad_quote", id="a quote never closed"),
        pytest.param(HEADER.strip() + ",x" * 5_000 + "\n" + ROW, "too_many_columns", id="wide"),
        pytest.param(",".join(map(str, range(2_000))) + "\n1\n", "too_many_columns", id="numbers"),
        pytest.param(HEADER + f"u1,{'x' * 10_000_000},view,1\n", "record_too_long", id="10 MB"),
        pytest.param(HEADER + f'u1,"{"x" * 10_000_000}",view,1\n', "record_too_long", id="quoted"),
        pytest.param(HEADER + 'u1,"x' + "\n" * 5_000_000, "record_too_long", id="never closed"),
    ],
)
def test_what_is_too_large_is_refused(
    tmp_path: Path, body: str, code: str, on_error: OnError
) -> None:
    error = refusal(tmp_path, body, on_error=on_error)
    assert (error.code, error.remedy != "") == (code, True)


def test_field_may_be_long_in_a_file_with_escapes(tmp_path: Path) -> None:
    long = "x" * 200_000
    body = HEADER + f'{long},"a\\"b",view,1700000000000\n'
    report = take(tmp_path, body, mapping={"escape": "\\"})
    assert [e.code for e in report.errors.kept] == ["value_too_long"]


def test_memory_is_bounded_by_the_record(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with path.open("w") as file:
        file.write("a,b\n1,2\n")
        for _ in range(40):
            file.write("x" * 1_000_000)
    with CsvFile(path, CsvOptions(delimiter=",", keeps_going=True)) as file_:
        with pytest.raises(FileRefusedError) as caught:
            list(file_.pieces())
        assert caught.value.code == "record_too_long"
        assert file_.position < 4 * RECORD_BYTES


def test_ragged_rows_are_all_listed_where_one_refuses_the_file(tmp_path: Path) -> None:
    body = HEADER + ROW + "u2,i2\n" + ROW + "u3,i3,view,1700000000000,x\n" + BAD
    sink = MemorySink()
    report = take(tmp_path, body, sink)
    assert not report.is_stored
    assert not sink.raw
    found = [(e.line, e.code) for e in report.errors.kept]
    assert found[:2] == [(3, "ragged_row"), (5, "ragged_row")]
    assert {line for line, _ in found} == {3, 5, 6}
    set_aside = take(tmp_path, body, on_error=OnError.QUARANTINE)
    assert [(e.line, e.code) for e in set_aside.errors.kept] == found


@pytest.mark.parametrize(
    ("share", "is_stored"), [(1.0, True), (0.5, True), (0.49, False), (0.0, False)]
)
def test_more_wrong_rows_than_the_mapping_allows_store_nothing(
    tmp_path: Path, share: float, is_stored: bool
) -> None:
    sink = MemorySink()
    report = take(
        tmp_path,
        HEADER + ROW + "u2,i2\n",
        sink,
        mapping={"max_reject_share": share},
        on_error=OnError.QUARANTINE,
    )
    assert (report.is_stored, report.has_too_many_wrong) == (is_stored, not is_stored)
    assert len(kept(sink)) == is_stored
    assert not report.is_all_wrong


def test_skipped_rows_are_no_part_of_the_rows_that_may_be_wrong(tmp_path: Path) -> None:
    mapping = {"max_reject_share": 0.3, "values": {"interaction_type": {"cart": "skip"}}}
    skipped = "u1,i1,cart,1700000000000\n" * 8
    body = HEADER + skipped + ROW + "u2,i2\n"
    report = take(tmp_path, body, mapping=mapping, on_error=OnError.QUARANTINE)
    assert (report.has_too_many_wrong, report.skipped) == (True, 8)


def test_file_of_wrong_rows_alone_says_so(tmp_path: Path) -> None:
    report = take(tmp_path, HEADER + "u2,i2\n" + BAD, on_error=OnError.QUARANTINE)
    assert (report.is_stored, report.is_all_wrong) == (True, True)


def test_text_with_a_line_like_a_row_is_told(tmp_path: Path) -> None:
    body = HEADER + 'u1,"i1\nu9,i9,view,1700000000000\n",view,1700000000000\n' + ROW
    report = take(tmp_path, body)
    assert report.counts.stored == 2
    assert (2, "record_within_text") in [(w.line, w.code) for w in report.warnings.kept]


@pytest.mark.parametrize("end", ["\x1a", "\x1a\r\n", "\x1a\x1a\n\n"])
def test_end_of_file_sign_is_no_row(tmp_path: Path, end: str) -> None:
    report = take(tmp_path, HEADER + ROW + end)
    assert (report.counts.received, report.counts.stored) == (1, 1)
