"""Requests of which nothing is anywhere: perhaps other people were meant, so none is certified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lakehouse.privacy.known import stored_identifiers
from lakehouse.privacy.needles import Needles
from lakehouse.privacy.verify import search, tenant_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakehouse.control.database import ControlDatabase
    from lakehouse.control.erasures import Subject
    from lakehouse.settings import LakeSettings

UNKNOWN: Final = "unknown"
"""Note of a request: how many of its subjects stand nowhere in the tables."""
NOTHING: Final = "nothing"
"""Note of a request: whether none of its subjects was anywhere, not in a mention either."""


def note_unmatched(
    settings: LakeSettings, database: ControlDatabase, tenant_id: str, subjects: Sequence[Subject]
) -> None:
    """Note of each request what of it is there, before anything is deleted; the first note stays.

    To be called behind the fence: what comes later is suppressed. Everything is searched once
    more for the requests that have no row.
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
        settings,
        tenant_id,
        set().union(*fresh.values()),
        tenant_settings(database, tenant_id),
    )
    for request_id, texts in fresh.items():
        is_nothing = texts.isdisjoint(stored)
        if is_nothing:
            found = search(settings, database, tenant_id, Needles(texts))
            is_nothing = found.is_clean and not found.mentions
        database.erasures.note(request_id, unknown=len(texts - stored), nothing=is_nothing)
