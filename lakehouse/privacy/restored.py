"""People who were erased and are there again, since a backup was restored.

Who they are is known by their keyed hashes alone, so every identifier in the tables is hashed, and
whom the quarantined records name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from lakehouse.contracts.identifying import IDENTIFYING_COLUMNS
from lakehouse.contracts.tables import RAW_CLICKSTREAM, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.control.erasures import MAX_SUBJECTS
from lakehouse.privacy.derived import derived_tables
from lakehouse.privacy.known import named_in, pieces_of
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.suppression import StoredSuppressionList, Suppressed
from lakehouse.storage.tables import ensure_tables, open_table

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from lakehouse.control.database import ControlDatabase, Erasure
    from lakehouse.settings import LakeSettings


def erase_again(
    settings: LakeSettings, database: ControlDatabase, tenant_id: str | None, *, by: str
) -> list[Erasure]:
    """Request the erasure of everyone in the tables who is on a suppression list; return requests.

    Those of one tenant, or of all; as many requests as it takes. Anonymous ids that were tied to
    somebody count as such.
    """
    ensure_tables(settings)
    lists = StoredSuppressionList(database)
    raw = {
        spec.full_name: open_table(settings, spec) for spec in (RAW_INTERACTIONS, RAW_CLICKSTREAM)
    }
    made = []
    for owner in database.suppressions.tenants():
        listed = lists.current(owner)
        if tenant_id not in (None, owner) or listed.is_empty:
            continue
        tables = {**raw, **derived_tables(settings)}
        found = {text for table in tables.values() for text in _listed(table, owner, listed)}
        quarantine = open_table(settings, RAW_QUARANTINE)
        named = named_in(quarantine, owner, MappingHistory.read(database, owner))
        texts = sorted(set().union(*named))
        found |= _on_the_list(pl.Series("anonymous_id", texts, dtype=pl.String), listed)
        made += [
            database.erasures.request(owner, part, by=by)
            for part in _parts(sorted(found), MAX_SUBJECTS)
        ]
    return made


def _parts(texts: list[str], size: int) -> Iterable[list[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))


def _listed(table: DeltaTable, tenant_id: str, listed: Suppressed) -> set[str]:
    names = [field.name for field in table.schema().fields if field.name in IDENTIFYING_COLUMNS]
    found: set[str] = set()
    for name in names:
        for piece in pieces_of(table, tenant_id, f"distinct {name}"):
            found |= _on_the_list(pl.DataFrame(piece)[name].cast(pl.String).drop_nulls(), listed)
    return found


def _on_the_list(texts: pl.Series, listed: Suppressed) -> set[str]:
    return set(texts.filter(listed.matches([texts])).to_list())
