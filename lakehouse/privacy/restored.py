"""People who were erased and are there again, since a backup was restored.

Who they are is known by their keyed hashes alone, so every identifier in the tables is hashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from deltalake import QueryBuilder

from lakehouse.contracts.identifying import IDENTIFYING_COLUMNS
from lakehouse.contracts.tables import RAW_CLICKSTREAM, RAW_INTERACTIONS
from lakehouse.contracts.tenant import check_owner
from lakehouse.privacy.derived import derived_tables
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

    Those of one tenant, or of all. Anonymous ids that were tied to somebody count as such.
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
        if found:
            made.append(database.erasures.request(owner, sorted(found)[:10_000], by=by))
    return made


def _listed(table: DeltaTable, tenant_id: str, listed: Suppressed) -> set[str]:
    names = [field.name for field in table.schema().fields if field.name in IDENTIFYING_COLUMNS]
    found: set[str] = set()
    for name in names:
        text = (
            f"select distinct {name} from held "  # noqa: S608
            f"where tenant_id = '{check_owner(tenant_id)}' and {name} is not null"
        )
        for piece in QueryBuilder().register("held", table).execute(text):
            texts = pl.DataFrame(pa.table(piece))[name].cast(pl.String)
            found |= set(texts.filter(listed.matches([texts])).to_list())
    return found
