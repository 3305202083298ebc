"""Which changes of a parent touch their user."""

import pytest

from tests.support.macros import macros

PARENT = {"table": "staging.stg_users"}


def select_of(touched: dict[str, str | bool], *, replaces_users: bool) -> str:
    commit = {"is_neutral": False, "replaces_users": replaces_users}
    scope = {
        "changes": {PARENT["table"]: "the_feed"},
        "commits": {PARENT["table"]: [commit]},
        "time": None,
        "fresh": None,
    }
    found = macros("incremental/find_users.sql")["users_touched_by"]
    return " ".join(str(found("stg_users", PARENT, touched, scope)).split())


@pytest.mark.parametrize(
    ("when", "replaces_users", "where"),
    [
        (None, False, ""),
        (None, True, " where _change_type = 'insert'"),
        ("consent is not null", False, " where consent is not null"),
        (
            "consent is not null",
            True,
            " where _change_type = 'insert' and consent is not null",
        ),
    ],
)
def test_a_condition_leaves_out_changes(when: str | None, replaces_users: bool, where: str) -> None:
    touched: dict[str, str | bool] = {"user_hash": "user_hash"}
    touched |= {"when": when} if when else {}
    select = select_of(touched, replaces_users=replaces_users)
    assert select.endswith(f" from the_feed{where} group by tenant_id, user_hash")


def test_a_new_row_that_may_take_rows_away_removes() -> None:
    """Who has withdrawn consent has rows before and none after."""
    plain = select_of({"user_hash": "user_hash"}, replaces_users=False)
    assert "bool_or(_change_type in ('delete', 'update_preimage')) as is_removed" in plain
    taking = select_of({"user_hash": "user_hash", "removes": True}, replaces_users=False)
    assert "true as is_removed" in taking
