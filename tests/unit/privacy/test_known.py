"""Identifiers of an erasure that stand nowhere are told before it is asked for, and after."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.errors import EtaError
from lakehouse.privacy.known import read_identifiers, remarks, stored_identifiers
from tests.support.erasure import TENANT, ErasableLake, interactions


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[ErasableLake]:
    project = tmp_path / "project"
    project.mkdir()
    found = ErasableLake(tmp_path / "home", project)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("content", "identifiers"),
    [
        pytest.param(b"carol \ndave\n", [(1, "carol "), (2, "dave")], id="spaces stay"),
        pytest.param(b"a\r\n\r\n \nb", [(1, "a"), (4, "b")], id="CRLF and empty lines"),
        pytest.param(b"\xef\xbb\xbfa\n", [(1, "a")], id="byte order mark"),
        pytest.param(
            "a\u2028b\x85c\x0bd\n".encode(), [(1, "a\u2028b\x85c\x0bd")], id="no line ends"
        ),
    ],
)
def test_identifiers_are_read_as_they_stand(
    tmp_path: Path, content: bytes, identifiers: list[tuple[int, str]]
) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(content)
    assert read_identifiers(path) == identifiers


def test_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(b"a\nm\xfcller\n")
    with pytest.raises(EtaError, match="line 2"):
        read_identifiers(path)


def test_what_is_stored_is_asked_of_both_tables_and_one_tenant(lake: ErasableLake) -> None:
    lake.upload(interactions([("carol", 1), ("carol", 2), ("dave", 3)]))
    asked = ["carol", "carol ", "dave", "erin"]
    assert stored_identifiers(lake.settings, TENANT, asked) == {"carol", "dave"}
    assert stored_identifiers(lake.settings, "other", asked) == frozenset()


def test_remarks_name_lines_and_no_identifier() -> None:
    numbered = [(1, "User_ID"), (2, "carol "), (3, "dave"), (None, "erin")]
    told = remarks(numbered, frozenset({"dave"}))
    assert told == [
        "line 1 looks like a header; it is taken for an identifier",
        "3 of 4 identifiers stand in no stored event: line 1, 2",
        "1 of these begin or end with white space, which makes them other identifiers: line 2",
    ]
    assert remarks(numbered[2:3], frozenset({"dave"})) == []
    many = remarks([(n, str(n)) for n in range(1, 101)], frozenset())
    assert many[0].endswith("19, 20 and 80 more")


def test_command_tells_before_and_after(
    lake: ErasableLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.upload(interactions([("carol", 1)]))
    monkeypatch.setenv("ETA_HOME", str(lake.home))
    ids = tmp_path / "ids.txt"
    ids.write_text("carol \n")
    done = CliRunner().invoke(app, ["privacy", "erase", "--tenant", TENANT, "--file", str(ids)])
    assert done.exit_code == 0, done.output
    before, request_id, after = done.output.partition("er_")
    assert "1 of 1 identifiers stand in no stored event: line 1" in " ".join(before.split())
    assert request_id
    assert "has 2 warnings" in " ".join(after.split())
    assert "carol" not in done.output
