"""Whether a table is the one that was read, by its versions and the times of their commits."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.macros import CompilerError, macros

BEGAN = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = 86_400_000


class Entries(dict[str, Any]):
    """A mapping as Jinja reads it: `entries.name`."""

    __getattr__ = dict.__getitem__


def commits(*operations: str, began: datetime = BEGAN) -> list[dict[str, Any]]:
    """A table's history, oldest first: a commit an hour; `VACUUM <ms>` says what it kept."""
    return [
        {
            "version": number,
            "timestamp": began + timedelta(hours=number),
            "operation": operation.split()[0],
            "operationParameters": {"specifiedRetentionMillis": operation.split()[1]}
            if operation.startswith("VACUUM")
            else {},
        }
        for number, operation in enumerate(operations)
    ]


def why(read: list[dict[str, Any]], now: list[dict[str, Any]], *, is_model: bool = True) -> Any:
    """Why a table that has read the newest of `read` cannot go on by the feed of `now`."""

    def run_query(text: str) -> Any:
        limit = int(text.rpartition("limit ")[2])
        return SimpleNamespace(rows=now[::-1][:limit])

    found = macros("incremental/parents.sql", run_query=run_query)
    at = found["milliseconds_of"]
    held, state = (
        Entries(version=table[-1]["version"], at=at(table[-1]["timestamp"]))
        for table in (read, now)
    )
    newest = found["commits_of"]("a.b", 8)
    parent = Entries(table="a.b", state=state, is_model=is_model, commits=newest)
    scope = Entries(held={"a.b": held}, commits={})
    return str(found["unread_parent"](scope, {"b": parent}) or "").strip()


HISTORY = ("CREATE", "WRITE", "MERGE", "DELETE", "OPTIMIZE", "WRITE")


@settings(deadline=None, max_examples=examples(100))
@given(read=st.integers(1, 6), grown=st.integers(0, 5))
def test_a_table_that_grew_is_followed(read: int, grown: int) -> None:
    whole = commits(*HISTORY, *["WRITE"] * 6)
    assert why(whole[:read], whole[: read + grown]) == ""


@settings(deadline=None, max_examples=examples(100))
@given(read=st.integers(1, 6), grown=st.integers(0, 8))
def test_another_table_is_not_followed_whatever_its_version(read: int, grown: int) -> None:
    other = commits(*HISTORY, *["WRITE"] * 8, began=BEGAN + timedelta(milliseconds=1))
    assert (
        why(commits(*HISTORY)[:read], other[: max(1, grown)]) == "b is not the table that was read"
    )


def test_a_backup_that_has_grown_since_is_not_followed() -> None:
    """The first three commits are the same ones; the next were made after it was put back."""
    read = commits(*HISTORY)
    later = commits(*["WRITE"] * 9, began=BEGAN + timedelta(days=9))
    assert why(read, [*read[:3], *later[3:]]) == "b is not the table that was read"
    assert why(read, read[:3]) == "b is not the table that was read"
    assert why(read[:3], [*read[:3], *later[3:]]) == ""


def test_a_history_that_no_longer_reaches_back_is_not_followed() -> None:
    whole = commits(*HISTORY)
    assert why(whole[:2], whole[3:]) == "b is not the table that was read"


@pytest.mark.parametrize("operation", ["CREATE OR REPLACE TABLE AS SELECT", "REPLACE TABLE"])
def test_a_model_that_was_rebuilt_is_read_whole_and_a_source_is_not_a_model(
    operation: str,
) -> None:
    whole = commits("CREATE", "WRITE", operation.replace(" ", "_"), "WRITE")
    assert why(whole[:2], whole) == "b was rebuilt"
    assert why(whole[:2], whole, is_model=False) == ""


@pytest.mark.parametrize(("kept", "is_followed"), [(0, False), (DAY // 24, False), (DAY, True)])
def test_a_vacuum_takes_the_changes_that_it_did_not_keep(kept: int, is_followed: bool) -> None:
    whole = commits("CREATE", "WRITE", "WRITE", "WRITE", f"VACUUM {kept}", "WRITE")
    reason = "" if is_followed else "b was vacuumed, and its changes with it"
    assert why(whole[:2], whole) == reason
    assert why(whole[:5], whole) == "", "what came later is there"


@pytest.mark.parametrize(
    "timestamp",
    [BEGAN + timedelta(microseconds=120_999), "2026-05-01 12:00:00.12", "2026-05-01T12:00:00.120Z"],
)
def test_a_commits_time_reads_the_same_from_every_server(timestamp: Any) -> None:
    at = macros("incremental/parents.sql")["milliseconds_of"]
    assert at(timestamp) == "2026-05-01 12:00:00.120"


def reason(recorded: dict[str, str], **scope: Any) -> Any:
    held = {"parameters": "{}", "logic": "a", "tenant_id": None, "keeps_expired": None, **scope}

    found = macros(
        "incremental/change_scope.sql",
        model=SimpleNamespace(name="m"),
        unread_parent=lambda *_: "",
        should_full_refresh=lambda: False,
    )
    given_scope = Entries(held)
    return found["why_all"](given_scope, {}, recorded), given_scope.get("is_rebuild")


@pytest.mark.parametrize(
    ("recorded", "wanted"),
    [
        ({"eta.logic": "a", "eta.parameters": "{}"}, ("", None)),
        ({"eta.logic": "b", "eta.parameters": "{}"}, ("its SQL changed", True)),
        ({"eta.parameters": "{}"}, ("its SQL was not recorded", True)),
        ({"eta.logic": "b", "eta.parameters": "{1}"}, ("variables changed", True)),
    ],
)
def test_other_sql_rebuilds_a_table(recorded: dict[str, str], wanted: tuple[str, Any]) -> None:
    assert reason(recorded) == wanted
    is_kept = reason(recorded, keeps_expired="raw.interactions")
    assert is_kept == (wanted[0], False if wanted[1] else None), "kept rows stay"


@pytest.mark.parametrize("recorded", [{"eta.logic": "b"}, {"eta.parameters": "{1}"}])
def test_a_narrowed_run_does_not_mix_two_rules(recorded: dict[str, str]) -> None:
    with pytest.raises(CompilerError, match="run it for all tenants"):
        reason({"eta.logic": "a", "eta.parameters": "{}", **recorded}, tenant_id="acme")
