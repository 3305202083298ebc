"""Which identifiers of a request stand anywhere in the tables, and what to tell about the others.

An identifier that is stored nowhere is erased at once and truly, though perhaps it is not the one
that was meant. So each is listed, and a request of such alone ends without a certificate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import TableNotFoundError

from lakehouse.contracts.tables import PERSONAL_TABLES, RAW_QUARANTINE
from lakehouse.contracts.tenant import TenantSettings, check_owner
from lakehouse.privacy.derived import derived_tables, identifying_columns, quoted
from lakehouse.privacy.id_files import Identifier, IdFile, forms, on_lines, resolved
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.quarantined import RECORDS
from lakehouse.privacy.readers import Readers
from lakehouse.storage.lake import Lake


def stored_identifiers(
    lake: Lake,
    tenant_id: str,
    wanted: Iterable[str],
    known: TenantSettings | MappingHistory,
) -> frozenset[str]:
    """Return those of `wanted` that stand in the tenant's rows: raw, the models', quarantined.

    One that a mapping stores as another stands there with that. `known`: the tenant's mappings,
    which say where a quarantined record names a person.
    """
    asked, history = frozenset(wanted), MappingHistory.of(known)
    found = _standing(lake, tenant_id, asked | history.stored_as(asked), history)
    others = [one for one in asked - found if not found.isdisjoint(history.stored_as([one]))]
    return (found & asked) | frozenset(others)


def stored_under(lake: Lake, tenant_id: str, wanted: Iterable[str]) -> frozenset[str]:
    """Return those of `wanted` that have rows, in raw or in the models; no quarantined ones."""
    return _standing(lake, tenant_id, frozenset(wanted), None)


def _standing(
    lake: Lake, tenant_id: str, asked: frozenset[str], history: MappingHistory | None
) -> frozenset[str]:
    found: set[str] = set()
    try:
        raw = [lake.table(spec) for spec in PERSONAL_TABLES]
        for table in (*raw, *derived_tables(lake).values()):
            found |= _in_table(table, tenant_id, asked - found)
        if history is not None and asked - found:
            quarantine = lake.table(RAW_QUARANTINE)
            for texts in named_in(quarantine, tenant_id, history):
                found |= asked & texts
    except TableNotFoundError:  # nothing was ever stored
        return frozenset()
    return frozenset(found)


def asked_for(
    lake: Lake,
    tenant_id: str,
    identifiers: Sequence[Identifier],
    tenant: TenantSettings | MappingHistory,
) -> tuple[list[Identifier], frozenset[str]]:
    """Return a request's identifiers as they are to be taken, and those of them that are stored.

    One that was written with white space around it, and is stored with it alone, keeps it.
    """
    stored = stored_identifiers(lake, tenant_id, forms(identifiers), tenant)
    taken = resolved(identifiers, stored)
    return taken, stored & {one.text for one in taken}


def remarks(
    identifiers: Sequence[Identifier],
    stored: Collection[str] | None,
    file: IdFile | None = None,
) -> list[str]:
    """Return what to tell about the identifiers of a request, without naming one.

    `stored`: those that have rows; None when that is not known.
    """
    told = [] if file is None else list(file.remarks)
    trimmed = [one for one in identifiers if one.is_trimmed]
    if trimmed:
        told.append(
            f"white space was taken off {len(trimmed):,} identifiers, which only quotes keep"
            f"{_lines(trimmed)}"
        )
    unknown = [one for one in identifiers if stored is not None and one.text not in stored]
    if unknown:
        told.append(
            f"{len({one.text for one in unknown}):,} of "
            f"{len({one.text for one in identifiers}):,} identifiers stand nowhere in the tables"
            f"{_lines(unknown)}"
        )
    return told


def _lines(identifiers: Iterable[Identifier]) -> str:
    lines = [one.line for one in identifiers if one.line is not None]
    return on_lines(lines) if lines else ""


def _in_table(table: DeltaTable, tenant_id: str, asked: Collection[str]) -> set[str]:
    """Return those that are a value of a column that names a person."""
    found: set[str] = set()
    for name in identifying_columns(table):
        wanted = pl.Series(list(asked), dtype=pl.String).implode()
        for piece in pieces_of(table, tenant_id, f"distinct {quoted(name)}"):
            values = pl.DataFrame(piece)[name].cast(pl.String)
            found |= set(values.filter(values.is_in(wanted).fill_null(value=False)))
    return found


def named_in(
    table: DeltaTable, tenant_id: str, tenant: TenantSettings | MappingHistory
) -> Iterator[set[str]]:
    """Yield whom each record of a quarantine names, as an erasure reads it."""
    readers = Readers(tenant)
    for piece in pieces_of(table, tenant_id, ", ".join(RECORDS)):
        columns = (piece.column(name).to_pylist() for name in RECORDS)
        for raw, layout, kind in zip(*columns, strict=True):
            found = readers.of_text(kind, layout).named(bytes(raw))
            yield found.users | found.anonymous | found.untold


def pieces_of(table: DeltaTable, tenant_id: str, columns: str) -> Iterator[pa.Table]:
    """Yield columns of a tenant's rows, piece by piece."""
    text = f"select {columns} from held where tenant_id = '{check_owner(tenant_id)}'"  # noqa: S608
    for piece in QueryBuilder().register("held", table).execute(text):
        yield pa.table(piece)
