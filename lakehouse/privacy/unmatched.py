"""Requests of which nothing is anywhere: perhaps other people were meant, so none is certified."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.known import stored_identifiers
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.verify import search
from lakehouse.storage.lake import Lake

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase
    from lakehouse.control.erasure_subjects import Subject
    from lakehouse.settings import LakeSettings

UNKNOWN: Final = "unknown"
"""Note of a request: how many of its subjects stand nowhere in the tables."""
NOTHING: Final = "nothing"
"""Note of a request: whether none of its subjects was anywhere, not in a mention either."""


def note_unmatched(
    settings: LakeSettings, database: ControlDatabase, tenant_id: str, subjects: Sequence[Subject]
) -> None:
    """Note of each request what of it is there, before anything is deleted; the first note stays.

    To be called behind the fence: what comes later is suppressed. Everything is searched for the
    people of the requests that have no row.
    """
    asked: dict[str, set[str]] = {}
    for one in subjects:
        if one.tied_to is None:
            asked.setdefault(one.request_id, set()).add(one.text)
    fresh = {
        request_id: texts
        for request_id, texts in asked.items()
        if NOTHING not in database.erasures.get(request_id).notes
    }
    if not fresh:
        return
    stored = stored_identifiers(
        Lake(settings),
        tenant_id,
        set().union(*fresh.values()),
        MappingHistory.read(database, tenant_id),
    )
    without_rows = [request_id for request_id, texts in fresh.items() if texts.isdisjoint(stored)]

    def is_nowhere(texts: set[str]) -> bool:
        found = search(settings, database, tenant_id, IdentifierPatterns(texts))
        return found.is_clean and not found.mentions

    nothing = _nowhere(fresh, without_rows, is_nowhere)
    database.erasures.note_once(
        {
            request_id: {UNKNOWN: len(texts - stored), NOTHING: request_id in nothing}
            for request_id, texts in fresh.items()
        }
    )


def _nowhere(
    asked: Mapping[str, set[str]], requests: Sequence[str], is_nowhere: Callable[[set[str]], bool]
) -> set[str]:
    """Return the requests of which nobody is anywhere: one search if that holds for all.

    Else each half is asked, so that many requests of unknown people do not take a search each.
    """
    if not requests or is_nowhere(set().union(*(asked[one] for one in requests))):
        return set(requests)
    if len(requests) == 1:
        return set()
    middle = len(requests) // 2
    halves = (requests[:middle], requests[middle:])
    return set().union(*(_nowhere(asked, half, is_nowhere) for half in halves))
