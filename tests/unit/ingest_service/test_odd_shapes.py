"""Files as offices, tills, analytics and ERP programs export them, when nobody says what they are.

Each is looked at as `eta inspect` would: nothing is given, so the shape of its lines decides.
"""

from pathlib import Path

import pytest

from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.reader import CsvFile

Row = tuple[str, ...]


def look(path: Path) -> tuple[Row, list[Row], int]:
    """Header, rows, and how many records are set aside."""
    rows: list[Row] = []
    bad = 0
    with CsvFile(path, CsvOptions(keeps_going=True)) as file:
        for piece in file.pieces():
            chunk = file.parse(piece, file.header)
            faults = set(chunk.faults["row"].to_list())
            bad += len(faults)
            found = enumerate(chunk.frame.iter_rows())
            rows += [tuple(v or "" for v in row) for n, row in found if n not in faults]
    return file.header, rows, bad


AB = [("1", "2"), ("3", "4")]
ABC = [("1", "2", "3"), ("4", "5", "6")]

SHAPES = [
    # --- statistics offices
    pytest.param(
        "Population\nSource: census\n\nregion,year,people\nNorth,2020,10\nSouth,2020,20\n",
        ("region", "year", "people"),
        [("North", "2020", "10"), ("South", "2020", "20")],
        0,
        id="title and source above",
    ),
    pytest.param(
        "Table 1;;\n;;\nregion;year;people\nNorth;2020;10\nSouth;2020;20\n",
        ("region", "year", "people"),
        [("North", "2020", "10"), ("South", "2020", "20")],
        0,
        id="title with delimiters, as a spreadsheet saves it",
    ),
    pytest.param(
        "Land;Jahr;Wert\nBayern;2020;1.234,5\nHessen;2021;2.345,6\n",
        ("Land", "Jahr", "Wert"),
        [("Bayern", "2020", "1.234,5"), ("Hessen", "2021", "2.345,6")],
        0,
        id="semicolons and decimal commas",
    ),
    pytest.param(
        "region,year,people\nNorth,2020,10\nSouth,2020,20\n\nNote: provisional figures\n",
        ("region", "year", "people"),
        [("North", "2020", "10"), ("South", "2020", "20")],
        1,
        id="a note below",
    ),
    pytest.param("a\tb\tc\n1\t2\t3\n4\t5\t6\n", ("a", "b", "c"), ABC, 0, id="tabs"),
    pytest.param(
        "name,2019,2020\nNorth,10,20\nSouth,30,40\n",
        ("name", "2019", "2020"),
        [("North", "10", "20"), ("South", "30", "40")],
        0,
        id="years as names",
    ),
    pytest.param(
        "region,,people\nNorth,x,10\nSouth,y,20\n",
        ("region", "", "people"),
        [("North", "x", "10"), ("South", "y", "20")],
        0,
        id="a column without a name within",
    ),
    pytest.param(
        "value,value,note\n1,2,3\n4,5,6\n", ("value", "value (2)", "note"), ABC, 0, id="names twice"
    ),
    # --- tills
    pytest.param(
        "date|item|price\n2024-01-02|shoe|3.50\n2024-01-03|sock|1.20\n",
        ("date", "item", "price"),
        [("2024-01-02", "shoe", "3.50"), ("2024-01-03", "sock", "1.20")],
        0,
        id="bars",
    ),
    pytest.param("a,b,c\r1,2,3\r4,5,6\r", ("a", "b", "c"), ABC, 0, id="old Mac line ends"),
    pytest.param("a,b,c\n1,2,3\n4,5,6\n\x1a", ("a", "b", "c"), ABC, 0, id="Ctrl-Z at the end"),
    pytest.param(
        "a;b;c;\n1;2;3;\n4;5;6;\n", ("a", "b", "c", "(column 4)"), 0, 0, id="end delimiter"
    ),
    pytest.param(
        "a;b;c\n1;2;3;\n4;5;6;\n", ("a", "b", "c", "(column 4)"), 0, 0, id="of rows alone"
    ),
    pytest.param("a;b;c;;\n1;2;3\n4;5;6\n", ("a", "b", "c"), ABC, 0, id="of the header alone"),
    pytest.param("a,b,c\n1,2,3\n4,5,6\n   \n\n", ("a", "b", "c"), ABC, 0, id="spaces at the end"),
    pytest.param('a,b,c\n1,2,3\nx,5" disk,y\n4,5,6\n', ("a", "b", "c"), ABC, 1, id="an inch sign"),
    pytest.param("a^b^c\n1^2^3\n4^5^6\n", ("a", "b", "c"), ABC, 0, id="carets"),
    # --- analytics
    pytest.param(
        "# ----\n# All Web Site Data\n# 2024\n# ----\n\npage,users,views\n/a,1,2\n/b,3,4\n",
        ("page", "users", "views"),
        [("/a", "1", "2"), ("/b", "3", "4")],
        0,
        id="comments above",
    ),
    pytest.param(
        "page,users,views\n/a,1,2\n/b,3,4\n\nDay,Users\n1/1/24,4\n",
        ("page", "users", "views"),
        [("/a", "1", "2"), ("/b", "3", "4")],
        2,
        id="another table below",
    ),
    pytest.param("sep=;\r\na;b;c\r\n1;2;3\r\n4;5;6\r\n", ("a", "b", "c"), ABC, 0, id="sep line"),
    pytest.param("a::b::c\n1::2::3\n4::5::6\n", ("a", "b", "c"), ABC, 0, id="double colons"),
    pytest.param("a, b, c\n1, 2, 3\n4, 5, 6\n", ("a", "b", "c"), ABC, 0, id="comma and space"),
    pytest.param('"a", "b"\n"1", "2"\n"3", "4"\n', ("a", "b"), AB, 0, id="the same, in quotes"),
    pytest.param("a\x01b\x01c\n1\x012\x013\n4\x015\x016\n", ("a", "b", "c"), ABC, 0, id="Hive"),
    pytest.param("a||b||c\n1||2||3\n4||5||6\n", ("a", "b", "c"), ABC, 0, id="double bars"),
    # --- ERP and databases
    pytest.param("a|~|b|~|c\n1|~|2|~|3\n4|~|5|~|6\n", ("a", "b", "c"), ABC, 0, id="bar tilde bar"),
    pytest.param(
        ",value\n0,1\n1,2\n", ("", "value"), [("0", "1"), ("1", "2")], 0, id="row numbers"
    ),
    pytest.param(
        "Company: ACME,,\nRun by: me,,\na,b,c\n1,2,3\n4,5,6\n", ("a", "b", "c"), ABC, 0, id="a head"
    ),
    pytest.param(
        "a,b,c\n1,2,3\n4,5,6\n(2 rows affected)\n", ("a", "b", "c"), ABC, 1, id="a count below"
    ),
    pytest.param(
        'a,"b,c\n1,2,3\n4,5,6\n', ("a", "b", "c"), ABC, 0, id="a stray quote in the header"
    ),
    pytest.param("only\n1\n2\n", ("only",), [("1",), ("2",)], 0, id="one column"),
    pytest.param("full name\nAnn Lee\nBob Roy\n", ("full name",), 0, 0, id="one column of words"),
    pytest.param(
        'id,text\n1,"a\nb,c\nd"\n2,x\n',
        ("id", "text"),
        [("1", "a\nb,c\nd"), ("2", "x")],
        0,
        id="lines",
    ),
]


@pytest.mark.parametrize(("body", "header", "rows", "bad"), SHAPES)
def test_shape_is_read_as_a_person_would(
    tmp_path: Path, body: str, header: Row, rows: list[Row] | int, bad: int
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(body.encode())
    found = look(path)
    assert (found[0], found[2]) == (header, bad)
    if isinstance(rows, list):
        assert found[1] == rows
    else:
        assert len(found[1]) == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_shape_in_another_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "rows.csv"
    body = "Report\n\na::b::c\n1::2::3\n4::5::6\n"
    path.write_bytes(body.encode(encoding))
    assert look(path) == (("a", "b", "c"), ABC, 0)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            "name,city,note\nSmith, John,Berlin,\nLee, Ann,Rome,\n", id="a comma in a name"
        ),
        pytest.param("a,b,c\n1,2\n3,4\n", id="a column less"),
        pytest.param("a,b,c\n1,2,3,x\n4,5,6,\n", id="a value without a name"),
    ],
)
def test_rows_of_another_width_are_not_guessed_at_where_columns_are_asked_for(
    tmp_path: Path, body: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(body)
    options = CsvOptions(wanted=frozenset({"a", "name"}), keeps_going=True)
    with CsvFile(path, options) as file:
        chunks = [file.parse(piece, file.header) for piece in file.pieces()]
    assert sum(chunk.faults.height for chunk in chunks) == 2
