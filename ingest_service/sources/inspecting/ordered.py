"""Which column feeds which field in a file without a header: told from values and order."""

from collections.abc import Collection, Sequence
from typing import Final

from ingest_service.sources.inspecting.columns import Column
from ingest_service.sources.inspecting.event_words import CONTRACT, known_share
from ingest_service.sources.inspecting.proposal import Proposal

MOST_ID: Final = 512
MOST_TYPES: Final = 60


def feed_by_order(
    found: Proposal,
    columns: Sequence[Column],
    times: Collection[str],
    *,
    has_events: bool,
    types: Collection[str] = CONTRACT,
) -> None:
    """Feed fields from columns that have no names: ids go user, then item.

    `columns`: those that may be taken. `has_events`: of a catalogue, that it stands beside events.
    `types`: of interactions, that the tenant has.
    """
    fields = {field.name for field in found.data_type.definition.fields}
    free = list(columns)

    def take(name: str, column: Column | None) -> None:
        if column is not None and name in fields:
            found.use(name, column)
            free.remove(column)

    # Ids may look like seconds: a date goes before a number, the last number before others.
    moments = [column for column in reversed(free) if column.name in times]
    if "timestamp" in fields:
        take("timestamp", max(moments, key=lambda c: c.type != "integer", default=None))
    if "interaction_type" in fields:
        take("interaction_type", next((c for c in free if is_of_events(c, types)), None))
    for name in ("user_id", "item_id"):
        if name in fields:
            take(name, next((c for c in free if c.longest <= MOST_ID), None))
    take("rating", next((c for c in free if _is_rating(c)), None))
    if has_events:
        take("category", next(iter(free), None))
    for name in ("title", "category"):
        if name not in found.columns:
            take(name, next((c for c in free if c.type == "text"), None))
    ids = " then ".join(plain(name) for name in ("user_id", "item_id") if name in found.columns)
    found.questions.append(f"The file has no header: are the columns right, {ids}?")


def is_of_events(column: Column, types: Collection[str]) -> bool:
    """Whether a column's words are known to be types of events."""
    return 0 < len(column.words) <= MOST_TYPES and known_share(column.words, types) >= 0.8


def _is_rating(column: Column) -> bool:
    if not column.is_numeric or not 2 <= len(column.words) <= 21:
        return False
    numbers = [float(word.replace(",", ".")) for word in column.words]
    return min(numbers) >= 0.5 and max(numbers) <= 10


def plain(name: str) -> str:
    """Return a field's name as words, and as the mapping has it."""
    return {"user_id": "user (user_id)", "item_id": "item (item_id)"}.get(name, name)
