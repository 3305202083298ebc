"""A file of ids is read the same way however a program or a person has written it."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakehouse.errors import EtaError
from lakehouse.privacy.id_files import IdFile, forms, read_ids, resolved, write_ids


def read(folder: Path, content: str | bytes, name: str = "ids.txt") -> IdFile:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_ids(path)


def texts(found: IdFile) -> list[tuple[int | None, str]]:
    return [(one.line, one.text) for one in found.identifiers]


@pytest.mark.parametrize(
    ("content", "identifiers", "heading"),
    [
        pytest.param(b"carol \n\tdave\n", [(1, "carol"), (2, "dave")], None, id="spaces go"),
        pytest.param(b'"carol "\ndave\n', [(1, "carol "), (2, "dave")], None, id="quotes keep"),
        pytest.param(b"a\r\n\r\n \nb", [(1, "a"), (4, "b")], None, id="CRLF and empty lines"),
        pytest.param(b"a\rb\r", [(1, "a"), (2, "b")], None, id="CR"),
        pytest.param(b"\xef\xbb\xbfa\n", [(1, "a")], None, id="byte order mark"),
        pytest.param("a\né\n".encode("utf-16"), [(1, "a"), (2, "é")], None, id="UTF-16"),
        pytest.param(b"\xfe\xff" + "a\n".encode("utf-16-be"), [(1, "a")], None, id="UTF-16 BE"),
        pytest.param("User ID\na\n", [(2, "a")], "User ID", id="heading"),
        pytest.param('\ufeff"user_id"\r\n"a"\r\n', [(2, "a")], "user_id", id="quoted heading"),
        pytest.param("a\nuser_id\n", [(1, "a"), (2, "user_id")], None, id="no heading below"),
        pytest.param("a\u2028b\x85c\x0bd\n", [(1, "a\u2028b\x85c\x0bd")], None, id="no line ends"),
        pytest.param('"a""b"\nc"d\n', [(1, 'a"b'), (2, 'c"d')], None, id="quotes within"),
        pytest.param('"a\nb"\nc\n', [(1, "a\nb"), (3, "c")], None, id="a line end within"),
        pytest.param('"a,b"\nd|e\n', [(1, "a,b"), (2, "d|e")], None, id="separators are text"),
        pytest.param("87654399\n007\n", [(1, "87654399"), (2, "007")], None, id="numbers"),
        pytest.param(
            '{"user_id": 87654399, "x": 1}\n{"id": "caf\\u00e9 "}\n',
            [(1, "87654399"), (2, "café ")],
            None,
            id="JSON objects",
        ),
        pytest.param(
            '{"user_id": "x", "anonymous_id": "y"}\n{"userId": 7, "customer_id": "7", "id": 8}\n',
            [(1, "x"), (1, "y"), (2, "7")],
            None,
            id="each id of an object",
        ),
        pytest.param(
            '"a"\n{"user_id": "b", "anonymous_id": null}\n',
            [(1, "a"), (2, "b")],
            None,
            id="texts and objects",
        ),
        pytest.param('{"user_id": "user_id"}\n', [(1, "user_id")], None, id="no heading in JSON"),
        pytest.param("1\n1.50\n1E5\n", [(1, "1"), (2, "1.50"), (3, "1E5")], None, id="as written"),
    ],
)
def test_identifiers_are_what_was_meant(
    tmp_path: Path, content: str | bytes, identifiers: list, heading: str | None
) -> None:
    found = read(tmp_path, content)
    assert (texts(found), found.heading) == (identifiers, heading)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(b"a\nm\xfcller\n", "line 2 of the file is not UTF-8", id="old encoding"),
        pytest.param(b"a\n\0b\0\n", "line 2 of the file has a NUL", id="UTF-16 without a mark"),
        pytest.param('a\n"b\nc\n', "line 2 of the file begins with a quote", id="open quote"),
        pytest.param('"a"b\n', "line 1 of the file begins with a quote", id="text behind a quote"),
        pytest.param("user_id,email\na,b\n", "line 1 of the file has several", id="columns"),
        pytest.param("a\nanna,berta\n", "line 2 of the file has a comma", id="a comma"),
        pytest.param("anna;berta\n", "line 1 of the file has a semicolon", id="a semicolon"),
        pytest.param("a\n\nanna\tberta\n", "line 3 of the file has a tab", id="a tab"),
        pytest.param("a\n" + "x" * 5_000_000, "line 2 of the file is longer", id="5 MB"),
        pytest.param('a\n"' + "x" * 200_000, "line 2 .* begins with a quote", id="a long quote"),
        pytest.param(json.dumps("x" * 513), "line 1 of the file is longer", id="long JSON"),
        pytest.param('"a"\n"a\\u0000b"\n', "line 2 of the file has a NUL", id="NUL in JSON"),
        pytest.param('{"user_id":"x","user_id":"y"}\n', "line 1 .* name comes twice", id="twice"),
        pytest.param(
            '{"user_id":"a"}\n{"id":"x","user_id":"b","i\\u0064":"y"}\n',
            "line 2 .* name comes twice",
            id="another name twice",
        ),
        pytest.param('{"id":"x","user":"y"}\n', "line 1 .* several ids", id="two unclear ids"),
        pytest.param('a\n{"user_id":"b"}\n', "line 2 .* JSON object", id="an object in CSV"),
        pytest.param('{"user_id": NaN}\n', "line 1 of the file", id="NaN"),
        pytest.param('{"user_id":"a","anonymous_id":[1]}\n', "line 1 of the file", id="a list"),
        pytest.param('{"user_id": "a"}\n{"name": "b"}\n', "line 2 of the file", id="no such field"),
        pytest.param('{"user_id": true}\n', "line 1 of the file", id="a truth"),
        pytest.param('{"user_id": "\\ud800"}\n', "surrogate", id="half a pair"),
        pytest.param('"ACME\\nina"\n', "one id in CSV and another in JSON", id="two readings"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(
    tmp_path: Path, content: str | bytes, error: str
) -> None:
    with pytest.raises(EtaError, match=error) as raised:
        read(tmp_path, content)
    assert raised.value.remedy


def test_the_name_of_a_file_says_how_to_read_it(tmp_path: Path) -> None:
    assert texts(read(tmp_path, '"ACME\\nina"\n', "ids.csv")) == [(1, "ACME\\nina")]
    assert texts(read(tmp_path, '"ACME\\nina"\n', "ids.jsonl")) == [(1, "ACME\nina")]


ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1f"), min_size=1)
listed = st.lists(ids.filter(lambda text: text.strip()), min_size=1, max_size=6)


@given(listed)
@example(["user_id", "a"])
def test_what_a_csv_program_quotes_is_read_back(tmp_path_factory, wanted: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp()
    made = io.StringIO()
    csv.writer(made, quoting=csv.QUOTE_ALL).writerows([["user_id"], *([one] for one in wanted)])
    found = read(folder, "\ufeff" + made.getvalue(), "ids.csv")
    assert [one.text for one in found.identifiers] == wanted


@given(listed)
def test_json_lines_are_read_back_as_they_were_written(tmp_path_factory, wanted: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp()
    made = io.StringIO()
    write_ids(made, wanted)
    assert [one.text for one in read(folder, made.getvalue()).identifiers] == wanted
    plain = "".join(f"{json.dumps(one)}\r\n" for one in ["id", *wanted])
    assert [one.text for one in read(folder, plain, "ids.ndjson").identifiers] == wanted


def test_white_space_stays_where_only_that_is_known(tmp_path: Path) -> None:
    found = read(tmp_path, "carol \ndave \nerin \n").identifiers
    assert forms(found) == {"carol", "carol ", "dave", "dave ", "erin", "erin "}
    taken = resolved(found, {"carol ", "dave", "dave "})
    assert [one.text for one in taken] == ["carol ", "dave", "erin"]


def test_what_an_object_has_besides_is_told_with_its_lines(tmp_path: Path) -> None:
    lines = [
        '{"user_id":"a"}',
        '{"user_id":"a","anonymous_id":"b"}',
        '{"user_id":"c","id":5}',
        '{"user_id":"d","id":"d"}',
    ]
    several, passed = read(tmp_path, "\n".join(lines)).remarks
    assert several.startswith("several ids of one object are taken")
    assert (several[-6:], passed[-6:]) == ("line 2", "line 3")
