"""Looks for people who are known by their keyed hashes alone, in the files of a lake's tables.

A search by identifiers (`verify`) needs the identifiers; a certificate and the suppression list
have hashes. So every value of an identifying column is hashed. It matters for files that no current
version names: a backup that was copied over the lake puts such files beside the newer ones, no
table shows them, and they hold who was erased.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.contracts.identifying import USER, identified_by
from lakehouse.control.suppressions import subject_hash
from lakehouse.privacy.purge import live_paths
from lakehouse.privacy.quarantined import RECORDS
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.storage_locations import CHANGES, DATA, lake_locations
from lakehouse.storage.lake import Lake

if TYPE_CHECKING:
    from lakehouse.privacy.suppression import Suppressed

_ROWS: Final = 65_536


@dataclass(slots=True)
class UnreferencedFiles:
    """What the files hold that no current version names.

    `people`: texts of who is on the list. `tables`: files with such people by table. `unreadable`:
    files that could not be read, of which nothing is known.
    """

    people: set[str] = field(default_factory=set, repr=False)
    tables: Counter[str] = field(default_factory=Counter)
    files: int = 0
    unreadable: int = 0


def people_in_unreferenced_files(
    lake: Lake, tenant_id: str, listed: Suppressed, readers: Readers
) -> UnreferencedFiles:
    """Look for people on a list in the tenant's data files that no current version names."""
    found = UnreferencedFiles()
    live: dict[str, frozenset[str]] = {}
    for place in lake_locations(lake, tenant_id):
        if place.kind not in (DATA, CHANGES) or place.table is None:
            continue
        if place.table not in live:
            live[place.table] = live_paths(lake, place.table)
        if place.path in live[place.table]:
            continue
        try:
            with place.open() as file:
                people = _people_in(file, listed, readers)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, pa.ArrowException):
            found.unreadable += 1
            continue
        found.files += 1
        if people:
            found.people |= people
            found.tables[place.table.replace("/", ".", 1)] += 1
    return found


def listed_texts(frame: pl.DataFrame, listed: Suppressed) -> set[str]:
    """Return the values of identifying columns that are of somebody on the list.

    A tied anonymous id counts where no user stands beside it, as for suppression.
    """
    found: set[str] = set()
    themselves = replace(listed, tied=frozenset())
    has_user = pl.repeat(value=False, n=frame.height, dtype=pl.Boolean, eager=True)
    columns = [frame[name].cast(pl.String) for name in frame.columns]
    for column in columns:
        found |= set(column.filter(themselves.matches([column.rename("subject")])))
        if identified_by(column.name) == USER:
            has_user |= column.fill_null("").str.strip_chars() != ""
    for column in columns:
        if identified_by(column.name) != USER and listed.tied:
            is_listed = listed.matches([column.rename("subject")])
            found |= set(column.filter(is_listed & ~has_user))
    return found


def texts_of_records(rows: pa.Table, listed: Suppressed, readers: Readers) -> set[str]:
    """Return whom records of a quarantine name that are on the list, as an erasure reads them."""
    subjects, tied = _Hashed(listed.key, listed.hashes), _Hashed(listed.key, listed.tied)
    found: set[str] = set()
    columns = (rows.column(name).to_pylist() for name in RECORDS)
    for raw, layout, kind in zip(*columns, strict=True):
        if raw is not None:
            named = readers.of_text(kind, layout).named(bytes(raw))
            found.update(*named.people(subjects, tied))
    return found


class _Hashed(frozenset[str]):
    """Texts that are known by their keyed hashes."""

    _key: str

    def __new__(cls, key: str, hashes: frozenset[str]) -> _Hashed:
        made = super().__new__(cls, hashes)
        made._key = key
        return made

    def __contains__(self, text: object) -> bool:
        if not isinstance(text, str):
            return False
        try:
            return super().__contains__(subject_hash(self._key, text))
        except UnicodeEncodeError:  # half of a surrogate pair: no stored id has one
            return False


def _people_in(file: IO[bytes], listed: Suppressed, readers: Readers) -> set[str]:
    parquet: Any = pq.ParquetFile(file)
    names = parquet.schema_arrow.names
    is_quarantine = set(RECORDS) <= set(names)
    wanted = list(RECORDS) if is_quarantine else _named(parquet.schema_arrow)
    found: set[str] = set()
    for batch in parquet.iter_batches(batch_size=_ROWS, columns=wanted) if wanted else ():
        rows = pa.Table.from_batches([batch])
        if is_quarantine:
            found |= texts_of_records(rows, listed, readers)
        else:
            found |= listed_texts(pl.DataFrame(rows).unique(), listed)
    return found


def _named(schema: pa.Schema) -> list[str]:
    return [
        one.name
        for one in schema
        if identified_by(one.name) is not None and not pa.types.is_nested(one.type)
    ]
