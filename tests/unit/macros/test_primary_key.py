"""The models' test of their keys: what it finds, in one scan."""

import duckdb
import pytest

from tests.support.macros import macros

COLUMNS = ("tenant_id", "user_id")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        pytest.param([("a", "1", 5), ("a", "2", 5), ("b", "1", 5)], [], id="as they should be"),
        pytest.param([("a", "1", 5), ("a", "1", 6)], [("a", "1", 2, False, False)], id="twice"),
        pytest.param([("a", None, 5)], [("a", None, 1, True, False)], id="a null in the key"),
        pytest.param([("a", "1", None)], [("a", "1", 1, False, True)], id="a null beside it"),
    ],
)
def test_rows_with_the_same_key_and_nulls_are_found(
    rows: list[tuple[str, str | None, int | None]], found: list[tuple[object, ...]]
) -> None:
    test = macros("tests/primary_key.sql")["primary_key"]
    with duckdb.connect() as database:
        database.execute("create table rows (tenant_id text, user_id text, score int)")
        database.executemany("insert into rows values (?, ?, ?)", rows)
        sql = test("rows", COLUMNS, ["user_id", "score"])
        assert database.execute(sql).fetchall() == found
