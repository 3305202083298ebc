"""Proves that people are gone: looks for them wherever they could be.

What equals an identifier is a finding, and must go. Where one is only mentioned is counted by
place: that is for the certificate, and stops nothing.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.tenants import TenantNotFound
from lakehouse.errors import EtaError
from lakehouse.privacy.database import look_through_rows
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.redis_keys import count_keys
from lakehouse.privacy.scan import Scanned, scan_stream
from lakehouse.privacy.storage_locations import (
    DATABASE,
    REDIS,
    StorageLocation,
    is_dbt_output,
    lake_locations,
    machine_locations,
)
from lakehouse.storage.lake import Lake

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase
    from lakehouse.settings import LakeSettings

THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """Where an identifier still stands, how it was found and how often; never which."""

    kind: str
    path: str
    table: str | None
    how: str
    count: int

    @property
    def place(self) -> str:
        """The table that a file is of, or what else tells where it is, for counting."""
        return self.table or (self.path if self.kind in (DATABASE, REDIS) else self.kind)


@dataclass(frozen=True, slots=True)
class Search:
    """What was looked through, which values were found, and where people are mentioned."""

    findings: tuple[Finding, ...]
    files: dict[str, int]
    bytes: int
    mentions: tuple[Finding, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether no value was found."""
        return not self.findings

    @property
    def mention_counts(self) -> dict[str, int]:
        """Mentions by place: a table, a kind of file, a table of the control database."""
        counts: Counter[str] = Counter()
        for one in self.mentions:
            counts[one.place] += one.count
        return dict(sorted(counts.items()))


def search(
    settings: LakeSettings, database: ControlDatabase, tenant_id: str, patterns: IdentifierPatterns
) -> Search:
    """Look for a tenant's people in lake, machine, control database and Redis.

    Reads everything of the tenant once. Files that vanish meanwhile are gone.
    """
    readers = Readers(MappingHistory.read(database, tenant_id))
    uploads = database.queue.spool_owners()
    places = chain(
        lake_locations(Lake(settings), tenant_id), machine_locations(settings, tenant_id, uploads)
    )
    values, mentions, files, size = _in_files(settings, places, patterns, readers, tenant_id)
    rows = look_through_rows(database, tenant_id, patterns, readers)
    keys = count_keys(settings.redis_url, tenant_id, patterns)
    counts: list[tuple[list[Finding], str, str, Mapping[str, int]]] = [
        (values, DATABASE, "rows", rows.values),
        (mentions, DATABASE, "rows", rows.mentions),
        (values, REDIS, "keys", keys.values),
        (mentions, REDIS, "keys", keys.mentions),
    ]
    for kept, kind, how, found in counts:
        kept += [Finding(kind, name, None, how, count) for name, count in found.items()]
    return Search(tuple(values), dict(files), size, tuple(mentions))


def tenant_settings(database: ControlDatabase, tenant_id: str) -> TenantSettings:
    """Return a tenant's settings, the defaults for one that is not known."""
    try:
        return database.tenant_settings(tenant_id)
    except TenantNotFound:
        return TenantSettings()


def _in_files(
    settings: LakeSettings,
    places: Iterable[StorageLocation],
    patterns: IdentifierPatterns,
    readers: Readers,
    tenant_id: str,
) -> tuple[list[Finding], list[Finding], Counter[str], int]:
    values: list[Finding] = []
    mentions: list[Finding] = []
    files: Counter[str] = Counter()
    size = 0

    def look(place: StorageLocation) -> tuple[StorageLocation, Scanned, int]:
        try:
            with place.open() as file:
                found = scan_stream(
                    file, patterns, readers, has_rows=place.has_rows, tenant_id=tenant_id
                )
                file.seek(0, 2)
                return place, found, file.tell()
        except FileNotFoundError:
            return place, Scanned(), -1
        except (OSError, ValueError, pa.ArrowException, zlib.error) as error:
            raise EtaError(
                f"{place.path} cannot be read ({type(error).__name__}), so nobody can say who is "
                "in it",
                remedy="repair it, or take it away if no table needs it (`eta tables`), then run "
                "`eta privacy work`",
            ) from error

    with ThreadPoolExecutor(THREADS) as pool:
        for place, scanned, length in pool.map(look, places):
            if length < 0:
                continue
            files[place.kind] += 1
            size += length
            # what quotes a row in a log or a scratch file is to go with the file
            kept_for_mentions = values if is_dbt_output(settings, place.path) else mentions
            for kept, found in ((values, scanned.values), (kept_for_mentions, scanned.mentions)):
                kept += [
                    Finding(place.kind, place.path, place.table, how, count)
                    for how, count in found.items()
                ]
    return values, mentions, files, size


def summary(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON values."""
    return [{"kind": f.kind, "path": f.path, "how": f.how, "count": f.count} for f in findings]
