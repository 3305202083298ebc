"""A file that names its columns again in another order is refused, wherever that line stands."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.reader import CsvFile
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.contracts.source_mapping import SourceMapping
from lakehouse.contracts.tenant import OnError
from tests.support.tables import take, workbook

NAMES = ["user_id", "item_id", "interaction_type", "timestamp"]
OTHER = ["item_id", "user_id", "interaction_type", "timestamp"]
ROW = ["a", "b", "view", "1700000000000"]


def lines_of(*records: list[str]) -> bytes:
    return "".join(",".join(record) + "\n" for record in records).encode()


@pytest.mark.parametrize("on_error", OnError)
def test_rows_behind_it_are_not_stored_as_something_else(tmp_path: Path, on_error: OnError) -> None:
    content = lines_of(NAMES, ROW, ROW, OTHER, ROW)
    with pytest.raises(FileRefusedError, match="line 4 names the columns again") as raised:
        take(tmp_path, content, on_error=on_error)
    assert raised.value.code is FileFault.SECOND_HEADER


def test_a_row_of_a_sheet_as_well(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError, match="row 3 names the columns again"):
        take(tmp_path, workbook([NAMES, ROW, OTHER, ROW]))


@pytest.mark.parametrize("quote", ['"', "'"])
def test_whatever_its_quotes_and_delimiter(tmp_path: Path, quote: str) -> None:
    content = lines_of(NAMES, ROW, [f"{quote}{name}{quote}" for name in OTHER], ROW)
    mapping = SourceMapping(quote=quote, delimiter="::")  # type: ignore[arg-type]
    with pytest.raises(FileRefusedError, match="line 3"):
        take(tmp_path, content.replace(b",", b"::"), mapping)


def test_the_same_header_again_and_rows_with_names_in_them_are_rows(tmp_path: Path) -> None:
    named = ["interaction_type", "user_id", "view", "1700000000000"]
    taken = take(tmp_path, lines_of(NAMES, ROW, NAMES, named))
    assert [row["user_id"] for row in taken.stored] == ["a", "interaction_type"]
    assert len(taken.kept) == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.text("abc_é", min_size=1, max_size=4), min_size=2, max_size=5, unique=True),
    before=st.integers(0, 30),
    data=st.data(),
)
def test_it_is_found_in_any_piece(
    tmp_path: Path, names: list[str], before: int, data: st.DataObject
) -> None:
    other = data.draw(st.permutations(names).filter(lambda found: found != names))
    path = tmp_path / "file.csv"
    row = ["1"] * len(names)
    path.write_bytes(lines_of(names, *[row] * before, other, row))
    options = CsvOptions(delimiter=",", wanted=frozenset(names), keeps_going=True)
    with pytest.raises(FileRefusedError) as raised, CsvFile(path, options, chunk_bytes=64) as file:
        for _ in file.pieces():
            pass
    assert (raised.value.code, raised.value.line) == (FileFault.SECOND_HEADER, before + 2)
