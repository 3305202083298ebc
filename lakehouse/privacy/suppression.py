"""The people whose rows must not be stored again, known only as keyed hashes.

Checked by every source while validating and once more at the commit, since an erasure may begin
while a batch is in flight. The keyed hash (HMAC-SHA256, one key per tenant) tells nobody without
the key who is on the list.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import polars as pl
import polars_hash as plh


@dataclass(frozen=True, slots=True, repr=False)
class Suppressed:
    """A tenant's list at one moment. `version` differs whenever the list does."""

    version: int
    key: str
    hashes: frozenset[str]

    def matches(self, subjects: pl.Series) -> pl.Series:
        """True for each subject that is on the list."""
        if not self.hashes:
            return pl.repeat(value=False, n=len(subjects), dtype=pl.Boolean, eager=True)
        frame = subjects.alias("subject").to_frame()
        hashed = plh.col("subject").chash.hmac_sha256(key=self.key)
        return frame.select(hashed.is_in(list(self.hashes))).to_series().fill_null(value=False)


class SuppressionList(Protocol):
    """Where the lists come from."""

    def current(self, tenant_id: str) -> Suppressed:
        """Return the tenant's list as it stands now, additions of other processes included."""
        ...


NOBODY: Final = Suppressed(0, "", frozenset())


class EmptySuppressionList:
    """The list of a lake in which nobody has asked to be erased."""

    def current(self, tenant_id: str) -> Suppressed:  # noqa: ARG002
        """Return the empty list."""
        return NOBODY
