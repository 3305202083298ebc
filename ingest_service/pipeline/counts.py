"""The ledger's equation: whatever was received became one of four things."""

from dataclasses import dataclass
from typing import Final

OUTCOMES: Final = ("stored", "duplicate", "quarantined", "suppressed")
"""What can become of a row; `suppressed`: it is of an erased person and was dropped."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of rows; received = stored + duplicate + quarantined + suppressed.

    Of a replay: what it changes. It receives nothing and `quarantined` is negative.
    """

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    suppressed: int = 0

    def __post_init__(self) -> None:
        kept = self.stored + self.duplicate + self.quarantined + self.suppressed
        if self.received != kept:
            raise ValueError(f"{self.received} rows received, but {kept} accounted for")

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.received + other.received,
            self.stored + other.stored,
            self.duplicate + other.duplicate,
            self.quarantined + other.quarantined,
            self.suppressed + other.suppressed,
        )

    @property
    def as_replay(self) -> "Counts":
        """The same of rows that were received before: what is not quarantined again leaves it."""
        left = self.stored + self.duplicate + self.suppressed
        return Counts(0, self.stored, self.duplicate, -left, self.suppressed)
