"""What an erasure removes, noted with each request so that a kill makes no count too small.

Rows are counted before they go, and the first count stays. Files are counted as they go: where a
process was killed in between, how many there were is not known any more, and that is what the
certificate says (null).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lakehouse.control.erasures import Erasure, Erasures

RAW_ROWS: Final = "raw_rows"
DERIVED_ROWS: Final = "derived_rows"
KEYS: Final = "redis_keys"
ENTRIES: Final = "database_rows"
REWRITTEN: Final = "rewritten"
FILES: Final = "files_removed"
SNAPSHOTS: Final = "snapshots_withdrawn"
TOGETHER: Final = "requests_together"
_UNDER_WAY: Final = "{}_under_way"
_TAKEN: Final = "{}_taken"


class Counts:
    """The counts of requests that are carried out together; each its own."""

    def __init__(self, erasures: Erasures, request_ids: Sequence[str]) -> None:
        self._erasures = erasures
        self._ids = list(request_ids)

    def rows(self, name: str, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Note table → request → rows; of a table the largest number that was counted stays."""
        held = self._held(name)
        self._note(
            name,
            {
                one: {
                    **(held[one] or {}),
                    **{
                        table: max(counted.get(one, 0), (held[one] or {}).get(table, 0))
                        for table, counted in counts.items()
                    },
                }
                for one in self._ids
            },
        )

    @contextmanager
    def before_removing(self, name: str, found: Mapping[str, int]) -> Iterator[None]:
        """Note how many of a request's are about to go, in addition to those that went before.

        The block takes them. Of one that was killed the rest is there once more, so the larger
        number stays.
        """
        held, taken = self._held(name), self._held(_TAKEN.format(name))
        counts = {one: max(held[one] or 0, (taken[one] or 0) + found.get(one, 0)) for one in held}
        self._note(name, counts)
        yield
        self._note(_TAKEN.format(name), counts)

    @contextmanager
    def while_removing(self, name: str) -> Iterator[Counter[str]]:
        """Add what the block counts to the requests' numbers; unknown if it is not ended."""
        under_way = _UNDER_WAY.format(name)
        held = {
            one: None if notes.get(under_way) else notes.get(name, {})
            for one, notes in self._notes().items()
        }
        self._erasures.note(
            {one: {under_way: True, name: counted} for one, counted in held.items()}
        )
        tally: Counter[str] = Counter()
        yield tally
        sums = {
            one: None if counted is None else dict(Counter(counted) + tally)
            for one, counted in held.items()
        }
        self._erasures.note(
            {one: {under_way: False, name: counted} for one, counted in sums.items()}
        )

    def snapshots(self, withdrawn: Sequence[str]) -> None:
        """Add published snapshots that were withdrawn."""
        held = self._held(SNAPSHOTS)
        self._note(SNAPSHOTS, {one: sorted({*(held[one] or ()), *withdrawn}) for one in self._ids})

    def together(self) -> None:
        """Note how many requests share the work; the largest number stays."""
        held = self._held(TOGETHER)
        self._note(TOGETHER, {one: max(held[one] or 1, len(self._ids)) for one in self._ids})

    def _notes(self) -> dict[str, Mapping[str, Any]]:
        return self._erasures.notes_of(self._ids)

    def _held(self, name: str) -> dict[str, Any]:
        return {one: notes.get(name) for one, notes in self._notes().items()}

    def _note(self, name: str, values: Mapping[str, Any]) -> None:
        self._erasures.note({one: {name: value} for one, value in values.items()})


def has_removed(request: Erasure) -> bool:
    """Whether a request has taken rows, keys or entries of its people."""
    tables = (request.notes.get(name, {}) for name in (RAW_ROWS, DERIVED_ROWS))
    return any(any(counts.values()) for counts in tables) or any(
        request.notes.get(name) for name in (KEYS, ENTRIES)
    )
