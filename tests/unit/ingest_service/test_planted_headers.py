"""A second header of any sort, anywhere in a good file: no row of it is stored as something else.

Either the file is refused (`second_header`), or every stored row is one of the good file's, in its
columns, and every other line is told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.contracts.source_mapping import SourceMapping
from lakehouse.contracts.tenant import DataType, OnError
from tests.support.examples import examples
from tests.support.tables import as_json, parquet, take, workbook

TIME: Final = "1700000000000"
VIEWS: Final = {"interaction_type": "view", "timestamp": TIME}
SYNONYMS: Final = {
    "user_id": [
        "user_id",
        "user",
        "uid",
        "customer_id",
        "Kunde",
        "User ID",
        "'userId'",
        "CUSTOMER",
    ],
    "item_id": ["item_id", "item", "sku", "product_id", "Artikel", "itemid", '"Item-Id"', "asin"],
    "interaction_type": ["interaction_type", "event", "action", "Event Type"],
    "timestamp": ["timestamp", "ts", "Zeit", "created_at"],
    "title": ["title", "name", "Bezeichnung", "Product Name"],
    "category": ["category", "genre", "Kategorie"],
}


@dataclass(frozen=True)
class Table:
    """`header`: as the file has it, None for none; `fields`: of its columns, in their order."""

    data_type: DataType
    fields: tuple[str, ...]
    header: tuple[str, ...] | None
    mapping: SourceMapping

    def record(self, number: int) -> dict[str, str]:
        """A good row; no two have a value in common."""
        values = {"interaction_type": "view", "timestamp": TIME}
        return {name: values.get(name, f"{name[0]}-{number}") for name in self.fields}


EVENTS: Final = ("user_id", "item_id", "interaction_type", "timestamp")
IDS: Final = EVENTS[:2]
ITEMS: Final = ("item_id", "title", "category")
TABLES: Final = [
    pytest.param(
        Table(DataType.INTERACTIONS, EVENTS, EVENTS, SourceMapping()), id="the contract's"
    ),
    pytest.param(
        Table(
            DataType.INTERACTIONS,
            IDS,
            ("Kunde", "Artikel"),
            SourceMapping(columns={"user_id": "Kunde", "item_id": "Artikel"}, constants=VIEWS),
        ),
        id="a mapping's",
    ),
    pytest.param(
        Table(
            DataType.INTERACTIONS,
            IDS,
            ("K1", "A7"),
            SourceMapping(names=list(IDS), constants=VIEWS),
        ),
        id="names instead of a header",
    ),
    pytest.param(
        Table(
            DataType.INTERACTIONS,
            IDS,
            None,
            SourceMapping(header="none", names=list(IDS), constants=VIEWS),
        ),
        id="no header",
    ),
    pytest.param(Table(DataType.ITEMS, ITEMS, ITEMS, SourceMapping()), id="a catalogue of texts"),
    pytest.param(
        Table(
            DataType.INTERACTIONS,
            EVENTS[:3],
            EVENTS[:3],
            SourceMapping(constants={"timestamp": TIME}),
        ),
        id="one time for all",
    ),
    pytest.param(
        Table(
            DataType.INTERACTIONS,
            EVENTS,
            EVENTS,
            SourceMapping(values={"interaction_type": {"interaction_type": "skip"}}),
        ),
        id="header words that are left out",
    ),
]


@st.composite
def second_tables(draw: st.DrawFn, table: Table) -> tuple[list[str], list[dict[str, str]]]:
    """Names of a second table, and its rows as records of the first's fields.

    It has the fields in any order, in any spelling, and may have further columns.
    """
    fields = list(draw(st.permutations(table.fields)))
    further = draw(st.lists(st.sampled_from(["rating", "brand", "color", "x9"]), max_size=2))
    spell = draw(st.sampled_from(["own", "contract", "other"]))
    names = []
    for field in fields:
        own = table.header[table.fields.index(field)] if table.header else field
        chosen = {"own": own, "contract": field, "other": draw(st.sampled_from(SYNONYMS[field]))}
        names.append(chosen[spell])
    count = draw(st.integers(1, 3))
    rows = [table.record(100 + number) for number in range(count)]
    further = list(dict.fromkeys(further))
    lines = [[row[field] for field in fields] + ["5"] * len(further) for row in rows]
    return names + further, [dict(zip(names + further, line, strict=True)) for line in lines]


def csv_of(rows: Sequence[Sequence[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()


def contents(rows: Iterable[Mapping[str, Any]], table: Table) -> set[tuple[str, ...]]:
    """What rows say, but for their times, which are stored in another form."""
    columns = [name for name in table.fields if name != "timestamp"]
    return {tuple(row[name] for name in columns) for row in rows}


@pytest.mark.parametrize("table", TABLES)
@settings(deadline=None, max_examples=examples(60), suppress_health_check=list(HealthCheck))
@given(data=st.data(), before=st.integers(0, 4), file=st.sampled_from(["csv", "xlsx"]))
def test_no_row_is_stored_as_something_else(
    tmp_path: Path, table: Table, data: st.DataObject, before: int, file: str
) -> None:
    if table.mapping.names and table.mapping.header != "none":
        file = "csv"  # a workbook's header is not replaced
    names, second = data.draw(second_tables(table))
    first = [table.record(number) for number in range(before)]
    rows = [list(table.header)] if table.header else []
    rows += [list(row.values()) for row in first]
    rows += [names, *(list(row.values()) for row in second)]
    content = csv_of(rows) if file == "csv" else workbook(rows)
    try:
        taken = take(tmp_path, content, table.mapping, data_type=table.data_type)
    except FileRefusedError as error:
        # Of two headers in a row the longer one is read, which may lack what the first has.
        if before and error.code is not FileFault.SECOND_HEADER:
            raise
        return
    good = contents([*first, *(table.record(100 + number) for number in range(3))], table)
    assert contents(taken.stored, table) <= good
    told = len(taken.stored) + len(taken.kept) + taken.report.skipped
    assert told == before + 1 + len(second) or (not before and "skipped_lines" in taken.warnings)


def test_rows_above_a_longer_header_are_no_preamble(tmp_path: Path) -> None:
    rows = [list(EVENTS), ["u1", "i1", "view", TIME], ["u2", "i2", "view", TIME]]
    longer = ["item_id", "user_id", "interaction_type", "timestamp", "rating"]
    with pytest.raises(FileRefusedError, match="line 4 names the columns again") as raised:
        take(tmp_path, csv_of([*rows, longer, ["i3", "u3", "view", TIME, "5"]]))
    assert raised.value.code is FileFault.SECOND_HEADER
    taken = take(tmp_path, b"Report,of a shop\nuser_id count,2\n\n" + csv_of(rows))
    assert [row["user_id"] for row in taken.stored] == ["u1", "u2"]
    assert "skipped_lines" in taken.warnings


@pytest.mark.parametrize(
    "header", [["user_id\u200b", *EVENTS[1:]], ["user", "item", "event", "ts"], ["x", *EVENTS]]
)
def test_nor_are_those_whose_header_is_spelled_in_another_way(
    tmp_path: Path, header: list[str]
) -> None:
    row = [*["x"][: len(header) - 4], "u1", "i1", "view", TIME]
    longer = ["item_id", "user_id", "interaction_type", "timestamp", "rating", "location", "more"]
    behind = ["i2", "u2", "view", TIME, "5", "DE", ""]
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, csv_of([header, row, longer, behind]))
    assert raised.value.code in (FileFault.SECOND_HEADER, FileFault.MISSING_COLUMNS)


def test_nor_items_of_other_columns(tmp_path: Path) -> None:
    rows = [["item_id", "foo"], ["a", "b"], ["item_id", "title", "category"], ["c", "d", "e"]]
    taken = take(tmp_path, csv_of(rows), data_type=DataType.ITEMS)
    assert ([row["item_id"] for row in taken.stored], len(taken.kept)) == (["a"], 2)
    preamble = [["Product", "Shoes"], ["Shop", "One"], ["item_id", "title", "category"]]
    taken = take(tmp_path, csv_of([*preamble, ["c", "d", "e"]]), data_type=DataType.ITEMS)
    assert [row["item_id"] for row in taken.stored] == ["c"]


def test_a_comment_that_is_another_header_refuses_the_file(tmp_path: Path) -> None:
    mapping = SourceMapping(constants=VIEWS, comment="#")
    rows = [["user_id", "item_id"], ["a", "b"], ["#user_id", "item_id"], ["#by", "hand"]]
    assert len(take(tmp_path, csv_of(rows), mapping).stored) == 1
    with pytest.raises(FileRefusedError, match="line 5"):
        take(tmp_path, csv_of([*rows, ["# item_id", "user_id"], ["d", "c"]]), mapping)


@pytest.mark.parametrize(
    "line", ['"item_id,user_id', 'item_id,"user_id', 'item"_id,user_id', "item_id,user_id,more"]
)
def test_a_damaged_header_is_one(tmp_path: Path, line: str) -> None:
    rows = "".join(f"i{number},u{number}\n" for number in range(20))
    content = f"user_id,item_id\na,b\n{line}\n{rows}".encode()
    with pytest.raises(FileRefusedError, match="line 3 names the columns again"):
        take(tmp_path, content, SourceMapping(constants=VIEWS))


def test_a_file_of_one_column_as_well(tmp_path: Path) -> None:
    taken = take(tmp_path, b"item_id\na\nsku\nb\n", data_type=DataType.ITEMS)
    assert (len(taken.stored), [code for *_, code in taken.errors]) == (2, ["repeated_header"])
    with pytest.raises(FileRefusedError, match="line 3"):
        take(tmp_path, b"item_id\na\nuser_id\nb\n", data_type=DataType.ITEMS)


@pytest.mark.parametrize("ending", ["", "5"])
def test_a_header_that_could_not_be_read_as_a_row_is_one(tmp_path: Path, ending: str) -> None:
    """Rows end with a delimiter, so the second header is a ragged row and those behind are not."""
    rows = [[*EVENTS], ["u1", "i1", "view", TIME, ""]]
    other = ["item_id", "user_id", "interaction_type", "timestamp", "rating"]
    with pytest.raises(FileRefusedError, match="line 3"):
        take(tmp_path, csv_of([*rows, other, ["i2", "u2", "view", TIME, ending]]))


@pytest.mark.parametrize(
    "row",
    [
        ["category", "Category", "Title"],
        ["title", "language", "Title"],
        ["A12", "Track", "Song"],
        ["b1", "Time", "book"],
        ["book", "The Book of Kells", "novel"],
        ["product", "Product", "Product"],
        ["android", "Grid", "Covid"],
    ],
)
def test_a_lawful_item_of_words_that_columns_have_is_stored(tmp_path: Path, row: list[str]) -> None:
    content = csv_of([ITEMS, ["a", "b", "c"], row])
    taken = take(tmp_path, content, data_type=DataType.ITEMS)
    assert len(taken.stored) == 2


@pytest.mark.parametrize(
    "row",
    [
        ["item_id", "brand", "color"],
        ["sku", "category", "title"],
        ["brand", "sku", "colour"],
        ["farbe", "item_id", "marke"],
        ["brand_id", "brand", "country"],
        ["user_id", "name", "email"],
        ["title", "id", "Cat"],
        ["Name", "ID", "Cat"],
    ],
)
def test_another_tables_header_refuses_the_file_and_a_setting_takes_it(
    tmp_path: Path, row: list[str]
) -> None:
    content = csv_of([ITEMS, ["a", "b", "c"], row, ["d", "e", "f"]])
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content, data_type=DataType.ITEMS)
    assert (raised.value.code, raised.value.line) == (FileFault.SECOND_HEADER, 3)
    assert "header_rows: none" in raised.value.remedy
    rows = SourceMapping(header_rows="none")
    assert len(take(tmp_path, content, rows, data_type=DataType.ITEMS).stored) == 3


def test_a_row_with_a_right_type_is_one_and_is_told(tmp_path: Path) -> None:
    content = csv_of([EVENTS[:3], ["a", "b", "view"], ["item_id", "user_id", "view"]])
    taken = take(tmp_path, content, SourceMapping(constants={"timestamp": TIME}))
    assert (len(taken.stored), list(taken.warnings)) == (2, ["column_names"])


def test_a_row_that_the_mapping_leaves_out_is_left_out(tmp_path: Path) -> None:
    skip = {"interaction_type": {"interaction_type": "skip", "session": "skip"}}
    rows = [["u", "i", "view", TIME], list(EVENTS), ["item_id", "user_id", "session", TIME]]
    taken = take(tmp_path, csv_of([EVENTS, *rows]), SourceMapping(values=skip))
    assert (len(taken.stored), taken.report.skipped, taken.kept) == (1, 2, [])


def test_each_line_of_a_header_that_comes_again_is_told(tmp_path: Path) -> None:
    lines = [["User", "Item"], ["Id", "Id"]]
    columns = {"user_id": "User Id", "item_id": "Item Id"}
    mapping = SourceMapping(header=2, columns=columns, constants=VIEWS)
    taken = take(tmp_path, csv_of([*lines, ["a", "b"], *lines, ["c", "d"]]), mapping)
    assert [row["user_id"] for row in taken.stored] == ["a", "c"]
    assert [code for *_, code in taken.errors] == ["repeated_header"] * 2


WRITERS: list[Callable[[list[dict[str, str]]], bytes]] = [
    as_json,
    lambda rows: parquet(pa.Table.from_pylist(rows)),
]


@pytest.mark.parametrize("write", WRITERS, ids=["JSON", "Parquet"])
@pytest.mark.parametrize("on_error", OnError)
def test_what_was_made_of_such_a_file_as_well(
    tmp_path: Path, write: Callable[[list[dict[str, str]]], bytes], on_error: OnError
) -> None:
    names = ["item_id", "user_id", "interaction_type"]
    rows = [["u", "i", "view"], names, ["i2", "u2", "view"]]
    content = write([dict(zip(EVENTS, row, strict=False)) for row in rows])
    mapping = SourceMapping(constants={"timestamp": TIME})
    with pytest.raises(FileRefusedError, match="names the columns again"):
        take(tmp_path, content, mapping, on_error=on_error)
