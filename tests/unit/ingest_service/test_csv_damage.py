"""Tables in any dialect with one damaged line: no row is stored that nobody wrote."""

import csv
import io
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.readers.csv.chunks import CsvOptions, Dialect
from ingest_service.readers.csv.reader import CsvFile
from lakehouse.contracts.mapping import FileRefusedError
from tests.support.examples import examples

HEADER = ["id", "title", "category"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "cp1250", "cp1252"]
LIKE_ROWS = [f"{start}{d.join('pqr')}\ny" for d in ",;\t|" for start in ("x\n", "")]
"""Texts with a line that has the fields of a row."""
TEXT = st.text(alphabet="ab5éß,;\"\n '\\", max_size=8) | st.sampled_from(LIKE_ROWS)
Row = tuple[str, ...]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Row], str, dict[str, object]]:
    """Rows, the file's text, and how it was written."""
    texts = draw(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
    rows = [(f"i{n}", *pair) for n, pair in enumerate(texts)]
    has_escape = draw(st.booleans())
    how: dict[str, object] = {
        "delimiter": draw(st.sampled_from([",", ";", "\t", "|"])),
        "lineterminator": draw(st.sampled_from(["\n", "\r\n"])),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        "doublequote": not has_escape,
        "escapechar": "\\" if has_escape else None,
    }
    buffer = io.StringIO()
    csv.writer(buffer, **how).writerows([HEADER, *rows])  # type: ignore[arg-type]
    return rows, buffer.getvalue(), how


def read(path: Path, chunk_bytes: int, **options: object) -> tuple[Counter[Row], int]:
    """The records that would be stored, and how many would be set aside."""
    rows, bad = Counter[Row](), 0
    with CsvFile(path, CsvOptions(**options), chunk_bytes=chunk_bytes) as file:  # type: ignore[arg-type]
        for piece in file.pieces():
            chunk = file.parse(piece, file.header)
            faults = set(chunk.faults["row"].to_list())
            bad += len(faults)
            found = enumerate(chunk.frame.iter_rows())
            rows.update(tuple(v or "" for v in row) for n, row in found if n not in faults)
    return rows, bad


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    table=tables(),
    encoding=st.sampled_from(ENCODINGS),
    is_declared=st.booleans(),
    chunk_bytes=st.sampled_from([40, 100, 10_000]),
)
def test_what_was_written_is_read(
    tmp_path: Path,
    table: tuple[list[Row], str, dict[str, object]],
    encoding: str,
    is_declared: bool,
    chunk_bytes: int,
) -> None:
    rows, text, how = table
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding))
    known = encoding.removesuffix("-sig")
    said = {"declared": known} if is_declared else {"encoding": known}
    found, bad = read(
        path,
        chunk_bytes,
        **said,
        wanted=frozenset(HEADER),
        dialect=Dialect(escape=str(how["escapechar"]) if how["escapechar"] else None),
    )
    assert (found, bad) == (Counter(rows), 0)


@settings(
    max_examples=examples(400),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), table=tables(), chunk_bytes=st.sampled_from([40, 100, 10_000]))
def test_damage_in_one_line_makes_no_row_that_nobody_wrote(
    tmp_path: Path,
    data: st.DataObject,
    table: tuple[list[Row], str, dict[str, object]],
    chunk_bytes: int,
) -> None:
    rows, text, how = table
    body = text.index(str(how["lineterminator"])) + len(str(how["lineterminator"]))
    quotes = [n for n in range(body, len(text)) if text[n] == '"']
    anywhere = st.integers(body, len(text) - 1)
    at = data.draw(anywhere | st.sampled_from(quotes) if quotes else anywhere)
    kind = data.draw(st.sampled_from(["insert", "delete", "replace"]))
    char = data.draw(st.sampled_from(['"', str(how["delimiter"]), "x", "'", "\\"]))
    if kind != "insert" and text[at] in "\r\n":
        return  # two lines would be damaged
    damaged = text[:at] + ("" if kind == "delete" else char)
    damaged += text[at if kind == "insert" else at + 1 :]
    path = tmp_path / "rows.csv"
    path.write_bytes(damaged.encode())
    try:
        found, _ = read(
            path,
            chunk_bytes,
            delimiter=how["delimiter"],
            keeps_going=True,
            dialect=Dialect(escape=str(how["escapechar"]) if how["escapechar"] else None),
        )
    except FileRefusedError:
        return
    unknown = found - Counter(rows)
    # The damaged line itself may still be a row, with what was done to it.
    assert unknown.total() <= 1, (damaged, unknown)


def test_a_declared_escape_counts_where_the_table_is_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'id,title,category\ni0,,"\\",\n"\ni1,,"\\",\n"\n')
    found, bad = read(
        path, 40, encoding="utf-8", wanted=frozenset(HEADER), dialect=Dialect(escape="\\")
    )
    assert (found, bad) == (Counter([("i0", "", '",\n'), ("i1", "", '",\n')]), 0)
