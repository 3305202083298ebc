"""The CSV reader beside Python's own csv module, and everything it refuses."""

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.reader import CsvFile, no_rows
from lakehouse.contracts.mapping import FileRefusedError
from tests.support.examples import examples

FIELD = st.text(alphabet=["a", "é", "\U0001f600", ",", '"', "\n", "\r", " ", ";"], max_size=4)
CHUNKS = st.sampled_from([64, 100, 1_000])


class Memory:
    """A path whose content is in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def open(self, mode: str, buffering: int = -1) -> io.BytesIO:
        assert mode == "rb"
        return io.BytesIO(self._content)


def read(
    content: bytes, chunk_bytes: int = 64, delimiter: str | None = ",", encoding: str | None = None
) -> tuple[list, list, list]:
    """Header and records (empty and null alike), lines, raw bytes."""
    path, options = Memory(content), CsvOptions(delimiter=delimiter, encoding=encoding)
    rows, lines, raw = [], [], []
    with CsvFile(path, options, chunk_bytes=chunk_bytes, record_bytes=10_000) as file:  # type: ignore[arg-type]
        for piece in file.pieces():
            chunk = file.parse(piece, file.header)
            rows += [tuple(v or "" for v in row) for row in chunk.frame.iter_rows()]
            lines += chunk.lines.tolist()
            raw += chunk.raw(range(chunk.frame.height))
        return [file.header, *rows], lines, raw


@settings(max_examples=examples(400), deadline=None)
@given(
    rows=st.lists(st.tuples(FIELD, FIELD, FIELD), min_size=1, max_size=12),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    has_mark=st.booleans(),
    ends_open=st.booleans(),
    chunk_bytes=CHUNKS,
)
def test_what_the_csv_module_writes_is_read_back(
    rows: list[tuple[str, ...]],
    quoting: int,
    line_end: str,
    delimiter: str,
    has_mark: bool,
    ends_open: bool,
    chunk_bytes: int,
) -> None:
    if any("\r" in field for row in rows for field in row):
        quoting = csv.QUOTE_ALL  # the csv module leaves a lone carriage return unquoted
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=quoting, lineterminator=line_end, delimiter=delimiter)
    writer.writerows([("x", "y", "z"), *rows])
    text = buffer.getvalue()
    if ends_open:
        text = text.removesuffix(line_end)
    content = (b"\xef\xbb\xbf" if has_mark else b"") + text.encode()
    found, lines, raw = read(content, chunk_bytes, delimiter)

    assert found == [("x", "y", "z"), *rows]
    for row, line, record in zip(rows, lines, raw, strict=True):
        rest = "\n".join(text.split("\n")[line - 1 :])
        assert next(csv.reader(io.StringIO(rest, newline=""), delimiter=delimiter)) == list(row)
        (parsed,) = csv.reader(io.StringIO(record.decode(), newline=""), delimiter=delimiter)
        assert parsed == list(row)


@settings(max_examples=examples(1_000), deadline=None)
@given(st.text(alphabet=["a", ",", '"', "\n", "\r"], max_size=14), CHUNKS)
@example('a"', 64)
@example('"a"b', 64)
@example('"a""', 64)
@example("\n\na,b", 64)
def test_any_text_is_read_like_a_strict_parser_or_refused(text: str, chunk_bytes: int) -> None:
    content = "x,y\n" + text
    expected = _strict(content)
    try:
        found, _, _ = read(content.encode(), chunk_bytes)
    except FileRefusedError:
        assert expected is None
    else:
        own = [list(row[:2]) for row in found]
        if len(found[0]) > 2:  # two rows or more, each with as many empty fields more
            assert len(found) > 2
            assert not any(any(row[2:]) for row in found[1:])
            assert {name for name in found[0][2:] if not name.startswith("(column ")} == set()
        else:
            assert own == expected


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        pytest.param(b"", "empty_file", 1, id="empty"),
        pytest.param(b"\xef\xbb\xbf", "empty_file", 1, id="byte order mark alone"),
        pytest.param(b"a,a\n1,2\n", "duplicate_header", 1, id="duplicate header"),
        pytest.param(b"a,b\n1,2\n\n3\n", "ragged_row", 4, id="short row after an empty line"),
        pytest.param(b'a,b\n"1\n1",2\n3,4,5\n', "ragged_row", 4, id="long row after a newline"),
        pytest.param(b"a,b\n1,2\n3,\x004\n", "nul_byte", 3, id="NUL"),
        pytest.param(b"a,b\n1,2\n3,\xe9\n", "not_utf8", 3, id="Latin-1"),
        pytest.param(b"a,\xe9\n1,2\n", "not_utf8", 1, id="Latin-1 header"),
        pytest.param("\n\na,b\n1,2,3\n".encode("utf-16"), "ragged_row", 4, id="UTF-16, ragged"),
        pytest.param("a,b\n1,2\n3,\0\n".encode("utf-16"), "nul_byte", 3, id="UTF-16, NUL"),
        pytest.param("a,b\n1,é\n".encode("utf-16")[:-1], "undecodable", 2, id="UTF-16, cut"),
        pytest.param(b"a,b\n1,2\n3,\xe2\x82", "not_utf8", 3, id="cut within a character"),
        pytest.param(b'a,b\n1,2\n"3,4\n5,6\n', "bad_quote", 3, id="quote never closed"),
        pytest.param(b'a,b\n1,2\n3,4"\n', "bad_quote", 3, id="quote within a plain field"),
        pytest.param(b'a,b\n"1" ,2\n', "bad_quote", 2, id="space after a quote"),
        pytest.param(b"a,b\n1\r,2\n", "bare_carriage_return", 2, id="bare carriage return"),
        pytest.param(b"a,b\r1,2\r3\n,4\r", "bare_carriage_return", 1, id="LF among CR"),
        pytest.param(b"a" * 131_073 + b",b\n1,2\n", "header_too_long", 1, id="endless name"),
        pytest.param(
            b"a,b\n1,2\n3," + b"x" * 30_000 + b"\n", "record_too_long", 3, id="endless record"
        ),
        pytest.param(",".join(map(str, range(1_001))).encode(), "too_many_columns", 1, id="wide"),
    ],
)
def test_refused(content: bytes, code: str, line: int | None) -> None:
    for chunk_bytes in (64, 4_096):
        with pytest.raises(FileRefusedError) as caught:
            read(content, chunk_bytes)
        assert (caught.value.code, caught.value.line) == (code, line)


def test_empty_lines_are_values_only_in_a_file_of_one_column() -> None:
    assert read(b"a\n1\n\n2\n")[0] == [("a",), ("1",), ("",), ("2",)]
    assert read(b"a,b\n\n1,2\r\n\r\n3,4\n\n")[:2] == ([("a", "b"), ("1", "2"), ("3", "4")], [3, 5])


def test_quoted_empty_and_unquoted_empty_are_both_there() -> None:
    assert read(b'a,b\n"",\n')[0] == [("a", "b"), ("", "")]


def test_line_ends_of_old_macs_are_read() -> None:
    body = b'a,b\r"1\r2",3\r"x\ny","""\r"\r'
    found, lines, raw = read(body)
    assert found == [("a", "b"), ("1\r2", "3"), ("x\ny", '"\r')]
    assert (lines, raw) == ([2, 4], [b'"1\r2",3', b'"x\ny","""\r"'])


def test_byte_order_mark_within_a_file_is_text() -> None:
    for chunk_bytes in (8, 64):
        found = read("a,b\n\ufeff1,2\n\ufeff3,4\n".encode(), chunk_bytes)[0]
        assert found == [("a", "b"), ("\ufeff1", "2"), ("\ufeff3", "4")]


@pytest.mark.parametrize("delimiter", ["::", "||", ", ", "|~|", "aba", "¦"])
def test_delimiter_of_several_bytes(delimiter: str) -> None:
    rows = [("x", "y"), ("1", "2"), (f"{delimiter}3", "4\n5"), ("6", "")]
    body = "\n".join(f'"{a}"{delimiter}"{b}"' for a, b in rows) + "\n"
    for chunk_bytes in (5, 6, 7, 64):
        found, lines, raw = read(body.encode(), chunk_bytes, delimiter)
        assert (found, lines) == (rows, [2, 3, 5])
        assert b"\n".join(raw).decode() == body.partition("\n")[2].removesuffix("\n")


def test_file_with_the_sign_that_stands_for_a_long_delimiter_is_refused() -> None:
    with pytest.raises(FileRefusedError) as caught:
        read(b"x::y\n1::2\n3\x1f::4\n", 4, "::")
    assert (caught.value.code, caught.value.line) == ("bad_delimiter", 3)


def test_record_may_be_longer_than_a_chunk() -> None:
    long = "x\n" * 500
    assert read(f'a,b\n"{long}",2\n3,4\n'.encode())[:2] == (
        [("a", "b"), (long, "2"), ("3", "4")],
        [2, 503],
    )


def test_file_without_rows_has_an_error_of_its_own() -> None:
    assert no_rows().code == "no_rows"


def _strict(content: str) -> list[list[str]] | None:
    """Rows by the csv module, None where RFC 4180 is broken; empty lines hold no record."""
    state, rows, row, value, at = "start", [], [], "", 0
    text = content if content.endswith("\n") else content + "\n"
    while at < len(text):
        char = text[at]
        if state == "quoted":
            if char == '"':
                state = "closed"
            else:
                value += char
        elif state == "closed" and char == '"':
            value, state = value + '"', "quoted"
        elif char == "," or char == "\n" or text.startswith("\r\n", at):
            row.append(value)
            value, state = "", "start"
            if char != ",":
                at += char == "\r"
                rows.append(row)
                row = []
        elif char == "\r" or state == "closed" or (char == '"' and state == "plain"):
            return None
        else:
            state = "quoted" if char == '"' else "plain"
            value += "" if char == '"' else char
        at += 1
    if state != "start" or row:
        return None
    kept = [row for row in rows if row != [""]] if len(rows[0]) > 1 else rows
    # An empty quoted field alone on its line is a record, and too short.
    if any(len(row) != len(rows[0]) for row in kept):
        return None
    return None if '\n""' in text and _has_lone_empty(text) else kept


def _has_lone_empty(text: str) -> bool:
    lines = list(csv.reader(io.StringIO(text, newline="")))
    return any(line == [""] for line in lines)
