"""People in the records of a quarantine: those that a record names, and those it mentions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from lakehouse.privacy.rewriting import Mask

if TYPE_CHECKING:
    from lakehouse.privacy.identifier_patterns import IdentifierPatterns
    from lakehouse.privacy.readers import Readers

RECORDS: Final = ("raw", "layout", "data_type")
"""The columns that say what a record is and how it is read."""


class RecordSearch:
    """Looks for people in tables with `RECORDS`; for several threads.

    `tied`: anonymous ids that count where a record has no user.
    """

    def __init__(
        self, patterns: IdentifierPatterns, readers: Readers, tied: frozenset[str] = frozenset()
    ) -> None:
        self._needles = patterns
        self._readers = readers
        self._tied = tied

    def names(self, rows: pa.Table) -> Mask:
        """Return which records name one of them in a field that identifies."""
        found = np.zeros(rows.num_rows, dtype=bool)
        subjects = self._needles.texts.__contains__
        columns = (rows.column(name).to_pylist() for name in RECORDS)
        for number, (raw, layout, kind) in enumerate(zip(*columns, strict=True)):
            if raw is not None:
                named = self._readers.of_text(kind, layout).named(raw)
                found[number] = named.is_of(subjects, self._tied.__contains__)
        return found

    def people(self, rows: pa.Table) -> list[tuple[set[str], set[str]]]:
        """Return of each record the subjects that it names, and the tied ids by which it counts."""
        columns = (rows.column(name).to_pylist() for name in RECORDS)
        return [
            self._readers.of_text(kind, layout).named(raw).people(self._needles.texts, self._tied)
            for raw, layout, kind in zip(*columns, strict=True)
        ]

    def mentions(self, rows: pa.Table) -> Mask:
        """Return which records have one of them anywhere, named or not."""
        found = np.zeros(rows.num_rows, dtype=bool)
        found[sorted(self._needles.rows(rows.column("raw").combine_chunks()))] = True
        return found
