"""The people whose rows must not be stored again, known only as keyed hashes.

Checked by every source while validating and once more at the commit, since an erasure may begin
while a batch is in flight. Whom a record names is decided by `records`, as for an erasure.
The keyed hash (HMAC-SHA256, one key per tenant) tells nobody without
the key who is on the list.
"""

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final, Protocol

import numpy as np
import polars as pl
import polars_hash as plh

from lakehouse.contracts.identifying import CONTRACT_FIELDS, USER, IdentifyingFields
from lakehouse.contracts.tenant import SourceMapping
from lakehouse.contracts.validator import AS_SENT
from lakehouse.control.suppressions import DIGEST, ListedHashes
from lakehouse.control.tenants import SettingsHistoryLost
from lakehouse.privacy.mapping_history import NO_HISTORY, MappingHistory
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.records import RecordReader


@dataclass(frozen=True, slots=True, repr=False)
class Suppressed:
    """A tenant's list at one moment. `version` differs whenever the list does.

    `tied` are anonymous ids that belonged to someone erased: they suppress rows that name no user.
    `mappings`: those of every version of the tenant's settings, by which a record that is sent
    again is read as an erasure reads it.
    """

    version: int
    key: str
    hashes: frozenset[str]
    tied: frozenset[str] = frozenset()
    mappings: MappingHistory = NO_HISTORY

    @property
    def is_empty(self) -> bool:
        """Whether nobody is on the list."""
        return not self.hashes

    def readers(self, own: Mapping[str, SourceMapping]) -> Readers:
        """Return what reads records by their mapping, in earlier versions too.

        `own`: mappings by name that records are read with now.
        """
        return Readers(self.mappings.with_version(own))

    def matches(
        self, subjects: Sequence[pl.Series], fields: IdentifyingFields = CONTRACT_FIELDS
    ) -> pl.Series:
        """Return which rows are of someone on the list.

        `subjects` are the columns that name a person, at least one, each under its own name; what
        they are read as by `fields` counts as well.
        """
        gone = pl.repeat(value=False, n=len(subjects[0]), dtype=pl.Boolean, eager=True)
        has_user = gone
        for subject in subjects:
            gone |= self._listed(subject, self.hashes)
            for others in _read_as(subject, fields.words_of(subject.name.partition(AS_SENT)[0])):
                gone |= self._listed(others, self.hashes)
            if subject.name == USER:
                has_user = subject.fill_null("").str.strip_chars() != ""
        for subject in subjects:
            if subject.name != USER and self.tied:
                gone |= ~has_user & self._listed(subject, self.tied)
        return gone

    def gone(
        self,
        subjects: Sequence[pl.Series],
        count: int,
        refused: pl.Series,
        raws: Callable[[Sequence[int]], Sequence[bytes]],
        reader: RecordReader,
    ) -> pl.Series | None:
        """Return which of `count` rows are of someone on the list, None when none is.

        `subjects` are the columns that name a person, if there are any. The `refused` rows, by
        position, would be kept as they came: of those the records (`raws`) are read as well.
        """
        if self.is_empty:
            return None
        found = np.zeros(count, dtype=bool)
        if subjects:
            found |= self.matches(subjects, reader.fields).to_numpy()
        kept = [row for row in refused.unique().to_list() if not found[row]]
        if kept:
            found[kept] = self.named(raws(kept), reader)
        return pl.Series(found) if found.any() else None

    def named(self, raws: Sequence[bytes], reader: RecordReader) -> list[bool]:
        """Return which records name someone on the list, as an erasure reads them.

        An id that is only mentioned, in a title or a link, suppresses nothing.
        """
        return [reader.named(raw).is_of(self._is_listed, self._is_tied) for raw in raws]

    def _is_listed(self, text: str) -> bool:
        return self._hash(text) in self.hashes

    def _is_tied(self, text: str) -> bool:
        return bool(self.tied) and self._hash(text) in self.tied

    def _hash(self, text: str) -> str:
        data = text.encode(errors="surrogatepass")
        return hmac.new(self.key.encode(), data, DIGEST).hexdigest()

    def _listed(self, subjects: pl.Series, hashes: frozenset[str]) -> pl.Series:
        if not hashes:
            return pl.repeat(value=False, n=len(subjects), dtype=pl.Boolean, eager=True)
        frame = subjects.alias("subject").to_frame()
        hashed = plh.col("subject").chash.hmac_sha256(key=self.key)
        return frame.select(hashed.is_in(list(hashes))).to_series().fill_null(value=False)


def _read_as(subjects: pl.Series, words: Sequence[tuple[str, str]]) -> Iterator[pl.Series]:
    """Yield what texts are read as by the words of any version, null where by none."""
    rest = [(word.strip(), value) for word, value in words]
    while rest:
        layer = dict(rest)
        rest = [(word, value) for word, value in rest if layer[word] != value]
        yield subjects.str.strip_chars().replace_strict(
            list(layer), list(layer.values()), default=None, return_dtype=pl.String
        )


class SuppressionList(Protocol):
    """Where the lists come from."""

    def current(self, tenant_id: str) -> Suppressed:
        """Return the tenant's list as it stands now, additions of other processes included."""
        ...


def is_unchanged(lists: SuppressionList, tenant_id: str, known: Suppressed) -> bool:
    """Return whether nobody was added to a tenant's list, or lifted, since it was read."""
    return lists.current(tenant_id).version == known.version


NOBODY: Final = Suppressed(0, "", frozenset())


class EmptySuppressionList:
    """The list of a lake in which nobody has asked to be erased."""

    def current(self, tenant_id: str) -> Suppressed:  # noqa: ARG002
        """Return the empty list."""
        return NOBODY


class ListStore(Protocol):
    """What the lists need of the control database."""

    def suppression_version(self, tenant_id: str) -> int:
        """Return the version of a tenant's list; 0 before its first."""
        ...

    def suppressed(self, tenant_id: str) -> ListedHashes:
        """Return a tenant's list."""
        ...

    def mapping_versions(self, tenant_id: str) -> Sequence[Mapping[str, SourceMapping]]:
        """Return the tenant's mappings in all versions of its settings."""
        ...


class StoredSuppressionList:
    """The lists of the control database; for several threads.

    Asked for every batch, twice: only the version is read each time, the hashes when it differs.
    """

    def __init__(self, store: ListStore) -> None:
        self._store = store
        self._known: dict[str, Suppressed] = {}
        self._lock = Lock()

    def current(self, tenant_id: str) -> Suppressed:
        """Return the tenant's list as it stands now; see `SuppressionList.current`."""
        version = self._store.suppression_version(tenant_id)
        if version == 0:
            return NOBODY
        with self._lock:
            known = self._known.get(tenant_id)
        if known is None or known.version != version:
            found = self._store.suppressed(tenant_id)
            known = Suppressed(found.version, found.key, found.subjects, found.tied)
            with self._lock:
                self._known[tenant_id] = known
        return known if known.is_empty else replace(known, mappings=self._mappings(tenant_id))

    def _mappings(self, tenant_id: str) -> MappingHistory:
        try:
            return MappingHistory(self._store.mapping_versions(tenant_id))
        except SettingsHistoryLost:
            # nothing that is sent is held up by it: erasures and searches wait and say why
            return NO_HISTORY
