"""Whose a device is, and since when that was known: the SQL against a look at each moment."""

import random
from datetime import datetime, timedelta
from typing import NamedTuple

import duckdb
import pytest

from benchmarks.training.duck import translated
from tests.support.macros import macros

FIRST = datetime(2026, 5, 1, 12)
IDS = {"tenant_id": "string", "anonymous_id": "string", "user_id": "string"}
TABLES = {"ties": {**IDS, "tied_at": "timestamp", "known_from": "timestamp"}}


class Tie(NamedTuple):
    """Of one device; without a user it is an untying. In minutes."""

    user_id: str | None
    tied_at: int
    known_from: int


class Span(NamedTuple):
    span_from: int | None
    span_until: int | None
    owner_id: str
    known_from: int


def spans(ties: list[Tie]) -> list[Span]:
    """What the models' SQL makes of them."""
    sql = macros("staging/owned_events.sql")["device_owners"]("ties")
    with duckdb.connect() as database:
        database.execute(
            "create table ties (tenant_id text, anonymous_id text, user_id text, "
            "tied_at timestamp, known_from timestamp)"
        )
        database.executemany(
            "insert into ties values ('t', 'd', ?, ?, ?)",
            [(one.user_id, _moment(one.tied_at), _moment(one.known_from)) for one in ties],
        )
        statement = translated(f"with {sql} select * from owned_spans", TABLES)
        found = database.sql(
            f"select span_from, span_until, owner_id, known_from from ({statement}) order by all"
        ).fetchall()
    return [Span(_minute(a), _minute(b), owner, _minute(c) or 0) for a, b, owner, c in found]


def _moment(minute: int) -> datetime:
    return FIRST + timedelta(minutes=minute)


def _minute(moment: datetime | None) -> int | None:
    return None if moment is None else round((moment - FIRST) / timedelta(minutes=1))


def owner_at(ties: list[Tie], event_time: int, known_by: int) -> str | None:
    """Whose an event of the device is by what is known at a moment; none: nobody's alone."""
    known = [one for one in ties if one.known_from <= known_by]
    ends = [one.tied_at for one in known if one.user_id is None]
    began = max((end for end in ends if end <= event_time), default=-1)
    ended = min((end for end in ends if end > event_time), default=10_000)
    users = {one.user_id for one in known if began <= one.tied_at < ended} - {None}
    return users.pop() if len(users) == 1 else None


@pytest.mark.parametrize("seed", range(12))
def test_no_event_counts_for_a_person_while_it_was_somebody_elses(seed: int) -> None:
    rng = random.Random(seed)
    moments = sorted(rng.randrange(100) for _ in range(rng.randrange(2, 14)))
    ties = [
        Tie(rng.choice(["p", "p", "q", None, None]), at, at + rng.choice([0, 0, 1, 5, 40, 90]))
        for at in moments
    ]
    found = spans(ties)
    for event_time in range(-1, 101):
        held = [
            one
            for one in found
            if (one.span_from is None or one.span_from <= event_time)
            and (one.span_until is None or event_time < one.span_until)
        ]
        assert [one.owner_id for one in held] == [
            owner for owner in [owner_at(ties, event_time, 1_000)] if owner
        ]
        for one in held:
            then = [owner_at(ties, event_time, moment) for moment in range(one.known_from, 200)]
            assert {*then} == {one.owner_id}


def test_an_untying_that_is_known_in_time_moves_nothing() -> None:
    ties = [Tie("p", 1, 2), Tie("p", 3, 4), Tie(None, 5, 6), Tie("q", 10, 11), Tie(None, 12, 13)]
    assert [(one.owner_id, one.known_from) for one in spans(ties)] == [("q", 11), ("p", 2)]
    # and neither one after which nobody was tied
    ties = [Tie("p", 1, 2), Tie("p", 3, 4), Tie(None, 5, 50)]
    assert [(one.owner_id, one.known_from) for one in spans(ties)] == [("p", 2)]


def test_what_a_late_untying_gives_to_a_person_is_known_from_its_arrival() -> None:
    ties = [Tie("p", 1, 1), Tie(None, 5, 40), Tie("q", 10, 10)]
    assert [(one.owner_id, one.known_from) for one in spans(ties)] == [("q", 40), ("p", 40)]
