"""Files as tenants send them, small."""

from collections.abc import Iterable

HEADER = "user_id,item_id,interaction_type,timestamp\n"
FIRST_MS = 1_700_000_000_000


def interactions_csv(count: int, *, first: int = 0, user: str = "u") -> str:
    """`count` good and distinct interactions, numbered from `first`."""
    rows = (
        f"{user}{n % 50},i{n % 20},view,{FIRST_MS + n * 1_000}\n"
        for n in range(first, first + count)
    )
    return HEADER + "".join(rows)


def lines(*rows: str, header: str = HEADER) -> str:
    """A file of these rows."""
    return header + "".join(f"{row}\n" for row in rows)


def join(columns: Iterable[str]) -> str:
    """A header line."""
    return ",".join(columns) + "\n"
