"""What a tenant's source mappings have ever said: a record was read with the one of its time.

Settings change, and what was rejected before stays in the quarantine. So a record is read by every
version of the mapping that its layout names, and erasure, proof and suppression take the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Protocol, Self

from lakehouse.contracts.identifying import IDENTIFYING_COLUMNS
from lakehouse.contracts.tenant import BUILT_IN_MAPPINGS, SourceMapping, TenantSettings
from lakehouse.contracts.topics import STREAM_MAPPING
from lakehouse.control.tenants import TenantNotFound

if TYPE_CHECKING:
    from lakehouse.contracts.layout import SourceLayout

_STAND_INS: Final = ("contract", STREAM_MAPPING)
"""What messages and webhooks are read with when the mapping that is meant for them is gone."""
_PROVIDED: Final[Mapping[str, SourceMapping]] = {"default": SourceMapping(), **BUILT_IN_MAPPINGS}
"""Mappings that a tenant has under these names while it gives none of its own."""


class KnowsMappings(Protocol):
    """Has the settings of tenants, in all their versions."""

    def mapping_versions(self, tenant_id: str) -> tuple[dict[str, SourceMapping], ...]:
        """Return a tenant's source mappings by name, of every version of its settings."""
        ...


class MappingHistory:
    """The mappings of a tenant in every version of its settings, by name; immutable."""

    def __init__(self, versions: Iterable[Mapping[str, SourceMapping]] = ()) -> None:
        self._versions = list(versions) or [{}]

    @classmethod
    def of(cls, known: TenantSettings | Self) -> Self:
        """Return settings as a history of that one version; a history as it is."""
        return cls([known.sources]) if isinstance(known, TenantSettings) else known

    @classmethod
    def read(cls, database: KnowsMappings, tenant_id: str) -> Self:
        """Return a tenant's; the provided mappings for a tenant that is not known.

        Raises `SettingsHistoryLost` when a version cannot be read: then nobody can say whom the
        tenant's records name.
        """
        try:
            return cls(database.mapping_versions(tenant_id))
        except TenantNotFound:
            return cls()

    def with_version(self, sources: Mapping[str, SourceMapping]) -> MappingHistory:
        """Return this with a version more, in which these mappings are as given."""
        return MappingHistory([*self._versions, {**self._versions[-1], **sources}])

    def named(self, name: str) -> list[SourceMapping]:
        """Return what was ever meant by a name; nothing when no version had it."""
        provided = _PROVIDED.get(name)
        found = (version.get(name, provided) for version in self._versions)
        return _distinct(one for one in found if one is not None)

    def of_layout(self, layout: SourceLayout) -> list[SourceMapping]:
        """Return what records of a layout may have been read with; nothing when nobody knows.

        The layout of a message that could not be read does not tell its mapping: any may be it.
        A mapping that came with the rows is the one that they were read with.
        """
        if layout.mapping_settings is not None:
            return [layout.mapping_settings]
        if not layout.columns and layout.format in ("bytes", "avro", "message"):
            return self.every()
        found = self.named(layout.mapping)
        is_stand_in = layout.mapping in _STAND_INS and layout.format != "csv"
        return _distinct([*found, *self._removed()]) if found and is_stand_in else found

    def every(self) -> list[SourceMapping]:
        """Return all of any name."""
        own = (one for version in self._versions for one in version.values())
        return _distinct([*_PROVIDED.values(), *own])

    def _removed(self) -> list[SourceMapping]:
        """Return what was meant by names that a later version of the settings did not have."""
        names = [set(version) for version in self._versions]
        gone = set().union(*(ours - later for ours, later in pairwise(names)))
        return [one for name in sorted(gone) for one in self.named(name)]

    def stored_as(self, texts: Collection[str]) -> frozenset[str]:
        """Return as which other identifiers a mapping stores these (`values`), also by way of more.

        `A9` that is read as `anne`: the rows that were sent as `A9` are those of `anne`.
        """
        pairs = self._pairs()
        found, fresh = set(texts), set(texts)
        while fresh and pairs:
            bare = {text.strip() for text in fresh}
            fresh = {value for word, value in pairs if word.strip() in bare} - found
            found |= fresh
        return frozenset(one for one in found - set(texts) if one.strip())

    def sent_as(self, texts: Collection[str]) -> frozenset[str]:
        """Return the other texts that a mapping stores as one of these."""
        wanted = frozenset(texts)
        return frozenset(word for word, value in self._pairs() if value in wanted) - wanted

    def _pairs(self) -> set[tuple[str, str]]:
        return {
            pair
            for source in self.every()
            for mapping in (source, *map(source.of, source.data_types))
            for field in IDENTIFYING_COLUMNS
            for pair in mapping.values.get(field, {}).items()
        }


def _distinct(mappings: Iterable[SourceMapping]) -> list[SourceMapping]:
    found: list[SourceMapping] = []
    for one in mappings:
        if one not in found:
            found.append(one)
    return found


NO_HISTORY: Final = MappingHistory()
"""That of a tenant that has never set a mapping."""
