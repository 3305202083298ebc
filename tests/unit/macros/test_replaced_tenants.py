"""Which tenants' rows a commit replaced as a whole, as Delta's history says it."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.macros import macros

IN_ORDER = "held.tenant_id in ('acme') and held.user_hash = fresh.user_hash"


def commits(operation: str, parameters: Any) -> list[Any]:
    row = {"version": 3, "timestamp": "2026-01-01 00:00:00.000", "operation": operation}
    table = SimpleNamespace(rows=[{**row, "operationParameters": parameters}])
    found = macros("incremental/parents.sql", run_query=lambda _: table)
    return found["commits_of"]("features.user_features", 8)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("parameters", "tenants"),
    [
        pytest.param({"predicate": "(tenant_id = 'acme')"}, ["acme"], id="one"),
        pytest.param(
            {"mode": "Overwrite", "partitionBy": "[]", "predicate": "(tenant_id IN ('a', 'b-c'))"},
            ["a", "b-c"],
            id="several",
        ),
        pytest.param(
            '{"mode":"Overwrite","predicate":"(tenant_id IN (\'a\', \'b\'))"}',
            ["a", "b"],
            id="as text",
        ),
        pytest.param({"mode": "Append", "partitionBy": "[]"}, None, id="rows were added"),
        pytest.param({"replaceOnCond": IN_ORDER}, None, id="users were replaced"),
        pytest.param(
            {"predicate": "((tenant_id = 'acme') AND (event_time > '2026-01-01'))"},
            None,
            id="a part",
        ),
        pytest.param({"predicate": "(tenant_id = 'acme') OR true"}, None, id="more"),
    ],
)
def test_a_commit_names_the_tenants_whose_rows_it_replaced(
    parameters: Any, tenants: list[str] | None
) -> None:
    assert commits("WRITE", parameters)[0]["replaced_tenants"] == tenants


def test_a_deletion_replaced_nobody() -> None:
    assert commits("DELETE", {"predicate": "(tenant_id = 'acme')"})[0]["replaced_tenants"] is None


@pytest.mark.parametrize(
    ("history", "tenants"),
    [
        pytest.param(
            [("a",), None, ("b", "a")], ["a", "b"], id="a commit that changed no row between"
        ),
        pytest.param([("a",), "rows"], None, id="a commit that changed single rows"),
        pytest.param([None], [], id="no row changed"),
    ],
)
def test_a_parent_is_read_by_its_commits_if_they_replaced_tenants_alone(
    history: list[Any], tenants: list[str] | None
) -> None:
    scope = {
        "commits": {
            "t": [
                {
                    "is_neutral": each is None,
                    "replaced_tenants": each if isinstance(each, tuple) else None,
                }
                for each in history
            ]
        }
    }
    found = macros("incremental/parents.sql")["replaced_tenants"](
        SimpleNamespace(**scope), SimpleNamespace(table="t")
    )
    assert found == tenants
