"""Settings of a source that say how its lines are cut: quotes, a header's lines, last lines."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.readers.csv.chunks import CsvOptions, Dialect
from ingest_service.readers.csv.last_lines import WithoutLastLines
from ingest_service.readers.csv.reader import CsvFile
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.source_mapping import SourceMapping


def rows_of(path: Path, mapping: SourceMapping) -> list[dict[str, str | None]]:
    options = CsvOptions(delimiter=mapping.delimiter or ",", dialect=Dialect.of(mapping))
    with CsvFile(path, options) as file:
        return [
            row
            for piece in file.pieces()
            for row in file.parse(piece, file.header).frame.to_dicts()
        ]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "file.csv"
    path.write_bytes(text.encode())
    return path


def test_a_header_of_two_lines_and_names_instead_of_it(tmp_path: Path) -> None:
    path = written(tmp_path, "sold,sold,\nto,item,when\nu1,i1,3\n")
    assert rows_of(path, SourceMapping(header=2)) == [
        {"sold to": "u1", "sold item": "i1", "when": "3"}
    ]
    named = SourceMapping(header=2, names=["u'", "i", "t"])
    assert rows_of(path, named) == [{"u'": "u1", "i": "i1", "t": "3"}]
    with pytest.raises(FileRefusedError, match="3 columns, and the source mapping has 2"):
        rows_of(path, SourceMapping(header=2, names=["u", "i"]))


@given(
    lines=st.lists(st.sampled_from(["", "x", "yy,z", "ü"]), max_size=8),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    is_open=st.booleans(),
    count=st.integers(1, 5),
    size=st.integers(1, 7),
)
def test_the_last_lines_are_left_out_however_the_file_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    end: str,
    is_open: bool,
    count: int,
    size: int,
) -> None:
    text = "".join(line + end for line in lines) + ("end" if is_open else "")
    path = written(tmp_path_factory.mktemp("last"), text)
    source = WithoutLastLines(path, "utf-8", None, count)
    try:
        read = b""
        while part := source.read(size):
            read += part
    finally:
        source.close()
    kept = text.encode().splitlines(keepends=True)
    assert read == b"".join(kept[: max(0, len(kept) - count)])


@given(
    rows=st.lists(
        st.tuples(*[st.text(st.sampled_from("ab'\",\n é"), max_size=5)] * 2), min_size=1, max_size=5
    )
)
def test_apostrophes_are_read_as_python_does(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("quotes") / "file.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quotechar="'", quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([("a", "b"), *rows])
    found = rows_of(path, SourceMapping(quote="'"))
    assert [(row["a"], row["b"]) for row in found] == rows


def test_a_record_alone_is_read_as_in_its_file() -> None:
    layout = SourceLayout(quote="'", columns=("a", "b"))
    assert layout.csv_records("'x,''1',\"") == [["x,'1", '"']]
    assert layout.model_copy(update={"quote": "none"}).csv_records("'x,\"1") == [["'x", '"1']]
