"""People who were erased and are there again, since a backup was restored.

Who they are is known by their keyed hashes alone, so every identifier in the tables is hashed, and
whom the quarantined records name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl
from deltalake import DeltaTable

from lakehouse.contracts.tables import PERSONAL_TABLES, RAW_QUARANTINE
from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.control.erasures import MAX_SUBJECTS
from lakehouse.control.suppressions import hash_key_id
from lakehouse.errors import EtaError
from lakehouse.privacy.certifying import HASHED_WITH
from lakehouse.privacy.derived import derived_tables, identifying_columns, quoted
from lakehouse.privacy.known import pieces_of
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.quarantined import RECORDS
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.suppression import StoredSuppressionList, Suppressed
from lakehouse.privacy.unreferenced import (
    UnreferencedFiles,
    listed_texts,
    people_in_unreferenced_files,
    texts_of_records,
)
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase, Erasure


def erase_again(
    lake: Lake,
    database: ControlDatabase,
    tenant_id: str | None,
    *,
    by: str,
    on_searched: Callable[[str, UnreferencedFiles], None] = lambda *_: None,
) -> list[Erasure]:
    """Request the erasure of everyone in the tables who is on a suppression list; return requests.

    Those of one tenant, or of all; as many requests as it takes. Files that no current version of
    a table names are looked at too; `on_searched` is called with a tenant and what they hold.
    Anonymous ids that were tied to somebody count as such where no user stands beside them.
    """
    ensure_tables(lake)
    lists = StoredSuppressionList(database)
    raw = {spec.full_name: lake.table(spec) for spec in PERSONAL_TABLES}
    made = []
    for owner in database.suppressions.tenants():
        listed = lists.current(owner)
        if tenant_id not in (None, owner) or listed.is_empty:
            continue
        tables = {**raw, **derived_tables(lake)}
        found = {text for table in tables.values() for text in _listed(table, owner, listed)}
        readers = Readers(MappingHistory.read(database, owner))
        quarantine = lake.table(RAW_QUARANTINE)
        for piece in pieces_of(quarantine, owner, ", ".join(RECORDS)):
            found |= texts_of_records(piece, listed, readers)
        unreferenced = people_in_unreferenced_files(lake, owner, listed, readers)
        on_searched(owner, unreferenced)
        found |= unreferenced.people
        made += [
            database.erasures.request(owner, part, by=by)
            for part in _parts(sorted(found), MAX_SUBJECTS)
        ]
    return made


def _parts(texts: list[str], size: int) -> Iterable[list[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))


def _listed(table: DeltaTable, tenant_id: str, listed: Suppressed) -> set[str]:
    found: set[str] = set()
    names = [quoted(name) for name in identifying_columns(table)]
    for piece in pieces_of(table, tenant_id, f"distinct {', '.join(names)}"):
        found |= listed_texts(pl.DataFrame(piece), listed)
    return found


def list_again(database: ControlDatabase, certificate: Mapping[str, Any], *, by: str) -> int:
    """Put the people of a genuine certificate on the suppression list; return how many were not.

    For a home that was restored to a time before the certificate. Raises `EtaError` when its people
    were hashed with another key than this home has: then nobody can tell who they are.
    """
    tenant_id = check_tenant_id(str(certificate["tenant_id"]))
    database.tenant_settings(tenant_id)
    listed = database.suppressed(tenant_id)
    made_with = certificate.get(HASHED_WITH)
    if listed.version == 0 or made_with not in (None, hash_key_id(listed.key)):
        raise EtaError(
            f"the people of {certificate['request_id']} were hashed with a key that this home does "
            "not have",
            remedy=f"erase them by their ids: `eta privacy erase --tenant {tenant_id} --file IDS`",
        )
    subjects = [str(one) for one in certificate["subjects"]]
    hashes: dict[str, str | None] = {str(one): subjects[0] for one in certificate["tied_ids"]}
    hashes |= dict.fromkeys(subjects)
    fresh = {one: tied for one, tied in hashes.items() if one not in listed.subjects | listed.tied}
    if fresh:
        with database.connections.write() as connection:
            database.suppressions.add(connection, tenant_id, fresh)
            about = str(certificate["request_id"])
            what = {"subjects": sum(tied is None for tied in fresh.values())}
            database.audit.write(connection, by, "privacy.list", tenant_id, about, **what)
    return len(fresh)
