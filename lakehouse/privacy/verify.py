"""Proves that people are gone: looks for them wherever they could be, decoded and raw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from lakehouse.privacy.database import count_in_rows
from lakehouse.privacy.needles import Needles
from lakehouse.privacy.places import DATABASE, REDIS, Place, lake_places, machine_places
from lakehouse.privacy.redis_keys import count_keys
from lakehouse.privacy.scan import scan_stream

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


@dataclass(frozen=True, slots=True)
class Search:
    """What was looked through, and what was found."""

    findings: tuple[Finding, ...]
    files: dict[str, int]
    bytes: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def search(
    settings: LakeSettings, database: ControlDatabase, tenant_id: str, needles: Needles
) -> Search:
    """Look for identifiers of a tenant's people in lake, machine, control database and Redis.

    Reads everything of the tenant once raw and once decoded. Files that vanish meanwhile are gone.
    """
    places = chain(lake_places(settings, tenant_id), machine_places(settings, tenant_id))
    findings, files, size = _in_files(places, needles)
    for name, count in count_in_rows(database, tenant_id, needles).items():
        findings.append(Finding(DATABASE, name, None, "rows", count))
    for name, count in count_keys(settings.redis_url, tenant_id, needles).items():
        findings.append(Finding(REDIS, name, None, "keys", count))
    return Search(tuple(findings), dict(files), size)


def _in_files(places: Iterable[Place], needles: Needles) -> tuple[list[Finding], Counter[str], int]:
    findings: list[Finding] = []
    files: Counter[str] = Counter()
    size = 0

    def look(place: Place) -> tuple[Place, dict[str, int], int]:
        try:
            with place.open() as file:
                found = scan_stream(file, needles)
                file.seek(0, 2)
                return place, found, file.tell()
        except FileNotFoundError:
            return place, {}, -1

    with ThreadPoolExecutor(THREADS) as pool:
        for place, found, length in pool.map(look, places):
            if length < 0:
                continue
            files[place.kind] += 1
            size += length
            findings += [
                Finding(place.kind, place.path, place.table, how, count)
                for how, count in found.items()
            ]
    return findings, files, size


def summary(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON values."""
    return [{"kind": f.kind, "path": f.path, "how": f.how, "count": f.count} for f in findings]
