"""The other identifiers of a person, by what the tenant's mappings make of them (`values`).

An identifier that a mapping stores as another stands for that one: its rows are stored there. So
both are erased. The other way round nothing follows: that a source sends `A9` for `anne` does not
make `A9` of another source the same person, so rows stored under `A9` are told of, not deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lakehouse.privacy.known import stored_under
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.storage.lake import Lake

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase
    from lakehouse.control.erasure_subjects import Subject

STORED_AS: Final = "stored_as"
"""Note of a request: how many identifiers it is about besides those that were asked for."""
SENT_AS: Final = "sent_as"
"""Note of a request: how many identifiers that a mapping reads as one of it have rows that stay."""


def widen(
    lake: Lake, database: ControlDatabase, tenant_id: str, subjects: Sequence[Subject]
) -> None:
    """Add to each request what its identifiers are stored as, and note what stays; repeatable."""
    history = MappingHistory.read(database, tenant_id)
    asked: dict[str, set[str]] = {}
    for one in subjects:
        if one.tied_to is None:
            asked.setdefault(one.request_id, set()).add(one.text)
    for request_id, texts in asked.items():
        others = history.stored_as(texts)
        sent = history.sent_as(texts | others)
        staying = stored_under(lake, tenant_id, sent) if sent else frozenset()
        database.erasures.people.widen(tenant_id, request_id, others)
        count = len(texts | others) - database.erasures.get(request_id).subject_count
        database.erasures.note({request_id: {STORED_AS: count, SENT_AS: len(staying)}})
