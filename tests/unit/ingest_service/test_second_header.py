"""A file that names its columns again in another order is refused, wherever that line stands."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.contracts.source_mapping import SourceMapping
from lakehouse.contracts.tenant import DataType, OnError
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


SPELLINGS = (
    str,
    str.upper,
    str.title,
    lambda name: name.replace("_", " "),
    lambda name: name.replace("_", ""),
    lambda name: f" {name}  ",
    lambda name: f"'{name}'",
    lambda name: f'"{name}"',
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    other=st.permutations(NAMES),
    spell=st.sampled_from(SPELLINGS),
    before=st.integers(1, 30),
    given_names=st.booleans(),
)
def test_it_is_found_however_it_is_spelled(
    tmp_path: Path, other: list[str], spell: Callable[[str], str], before: int, given_names: bool
) -> None:
    content = lines_of(*[ROW] * before, [spell(name) for name in other], ROW)
    mapping = SourceMapping(header="none", names=NAMES)
    if not given_names:
        content, mapping = lines_of(NAMES) + content, SourceMapping()
    if other == NAMES:
        taken = take(tmp_path, content, mapping)
        assert [code for *_, code in taken.errors] == ["repeated_header"]
        return
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content, mapping)
    line = before + (1 if given_names else 2)
    assert (raised.value.code, raised.value.line) == (FileFault.SECOND_HEADER, line)


@pytest.mark.parametrize(
    ("names", "other"),
    [
        (["item_id", "title", "category"], ["title", "item_id", "genre"]),
        (["item_id", "title", "category"], ["Category", "Item ID", "Title"]),
        (["item_id", "title", "shelf"], ["shelf", "item_id", "title"]),
    ],
)
def test_of_a_catalogue_without_times_as_well(
    tmp_path: Path, names: list[str], other: list[str]
) -> None:
    content = lines_of(names, ["a", "b", "c"], other, ["d", "e", "f"])
    with pytest.raises(FileRefusedError, match="line 3 names the columns again"):
        take(tmp_path, content, data_type=DataType.ITEMS)


@pytest.mark.parametrize(
    "row", [["i", "Title", "Category"], ["title", "b", "c"], ["shelf", "", ""], ["", "title", ""]]
)
def test_an_item_that_is_called_as_a_column_is_one(tmp_path: Path, row: list[str]) -> None:
    content = lines_of(["item_id", "title", "category"], ["a", "b", "c"], row)
    taken = take(tmp_path, content, data_type=DataType.ITEMS)
    assert not [code for *_, code in taken.errors if code == "repeated_header"]
