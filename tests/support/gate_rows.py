"""What the tenants of the gate's tests send."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.support.lake import NOON, interaction, item

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
WEEKS = 5


def clicks(moment: datetime = NOON, items: int = 20) -> list[dict]:
    """Ten users who click on one item each, and one person who has seen everything before."""
    earlier = moment - timedelta(hours=2)
    return [
        *(
            interaction(f"e{n}", f"subject-{n}", f"i{n % items}", "click", moment)
            for n in range(10)
        ),
        *(interaction(f"v{n}", "subject-x", f"i{n}", "view", earlier) for n in range(items)),
    ]


def weeks(newest: int = 42, kind: str = "click", items: int = 20) -> list[dict]:
    """Five weeks up to noon: 42 clicks each on twenty items, but the newest as it is told."""
    rows = []
    for week in range(WEEKS):
        count = 42 if week else newest
        rows += [
            interaction(
                f"w{week}-{n}",
                f"subject-{n % 10}",
                f"i{n % (20 if week else items)}",
                "click" if week else kind,
                NOON - 7 * week * DAY - n * 7 * DAY / count,
            )
            for n in range(count)
        ]
    return rows


def catalogue(
    first: int = 0, available_from: datetime = NOON - 90 * DAY, **columns: Any
) -> list[dict]:
    """Twenty items from the number `first` on."""
    return [
        item(f"i{n}", available_from=available_from, **columns) for n in range(first, first + 20)
    ]


def future() -> list[dict]:
    return [interaction("f1", "subject-1", "i1", "view", NOW + 3 * DAY)]


def rated(rating: float) -> list[dict]:
    return [interaction("r1", "subject-1", "i1", "view", NOON - DAY, rating=rating)]


def conflicting() -> list[dict]:
    """Ids that were taken by another payload."""
    return [interaction(f"v{n}", "subject-y", "i9", "view", NOON - DAY) for n in range(18)]


def bought(item_id: str = "i1") -> list[dict]:
    return [interaction("b1", "subject-1", item_id, "purchase", NOON - DAY)]


def disliked() -> list[dict]:
    """Twice as many dislikes as there are clicks, of people who want nothing."""
    return [
        interaction(f"d{n}", f"subject-d{n}", f"i{n}", "dislike", NOON - DAY) for n in range(20)
    ]


def crowded() -> list[dict]:
    """A hundred people who look at one and the same item."""
    return [interaction(f"o{n}", f"subject-o{n}", "i1", "view", NOON - DAY) for n in range(100)]


def priced() -> list[dict]:
    """A catalogue that has a price for each item but i1."""
    rows = catalogue(price=Decimal("9.99"))
    rows[1]["price"] = None
    return rows


def partly_early(rows: list[dict]) -> list[dict]:
    """A quarter of the items appear a day after they were viewed."""
    return rows[:15] + [{**row, "available_from": NOON + DAY} for row in rows[15:]]
