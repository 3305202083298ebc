"""The dimensions of quality and the score, as docs/quality.md defines them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lakehouse.contracts.kinds import DataType

WINDOW: Final = timedelta(hours=24)
"""Rows measured in this time up to the newest delivery make the shares."""

OBJECTIVE_HOURS: Final = {kind: kind.definition.objective_hours for kind in DataType}
"""Data this fresh loses no points. Models run every six hours; a catalogue stays true longer."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What came in a window, by what became of it; see `contracts.tables.DATA_QUALITY`."""

    received: int
    suppressed: int = 0
    duplicate: int = 0
    retried: int = 0
    incomplete: int = 0
    invalid: int = 0
    inconsistent: int = 0
    staging_duplicate: int = 0
    staging_conflict: int = 0


@dataclass(frozen=True, slots=True)
class Shares:
    """Four dimensions in percent, 0 to 100; None where no row could be judged."""

    completeness: float | None = None
    validity: float | None = None
    uniqueness: float | None = None
    consistency: float | None = None


def shares(sums: Sums, join_rate: float | None) -> Shares:
    """Return the dimensions of a window; `join_rate` 0 to 1, None without a catalogue.

    Rows of erased people and of batches that were sent a second time are judged in none.
    """
    base = sums.received - sums.suppressed - sums.retried
    if base <= 0:
        return Shares()

    def without(faults: int) -> float:
        return 100 * (1 - min(max(faults, 0), base) / base)

    return Shares(
        completeness=without(sums.incomplete),
        validity=without(sums.invalid),
        uniqueness=without(sums.duplicate - sums.retried + sums.staging_duplicate),
        consistency=without(sums.inconsistent + sums.staging_conflict)
        * (1 if join_rate is None else join_rate),
    )


def score(data_type: DataType, freshness_hours: float | None, found: Shares) -> float | None:
    """Return the product of the five dimensions, 0 to 100; None where one is not known.

    Freshness is 1 up to the objective, then objective / hours.
    """
    parts = (found.completeness, found.validity, found.uniqueness, found.consistency)
    if freshness_hours is None or None in parts:
        return None
    product = min(1.0, OBJECTIVE_HOURS[data_type] / max(freshness_hours, 1e-9))
    for percent in parts:
        assert percent is not None
        product *= percent / 100
    return 100 * product
