"""Rows for a report, with every identifier masked.

The mask is keyed by a secret that no report keeps: within one report the same identifier has the
same mask, and afterwards nobody can tell whose it was.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from lakehouse.contracts.kinds import InteractionType
from lakehouse.quality.outcomes import Figure

_OPEN: Final = frozenset({"batch_id", "source_ref", "negative_type", "problem"})
"""Texts of our own making: they name a place or a kind, nobody."""

_TYPES: Final = frozenset(str(name) for name in InteractionType)
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Masker:
    """Masks what may name a user, an item or an event; numbers, times and kinds stay."""

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    types: frozenset[str] = _TYPES
    """Words that are interaction types, of any tenant."""

    def row(self, row: Mapping[str, Any]) -> dict[str, Figure]:
        """Return the row as JSON values."""
        return {name: self._value(name, value) for name, value in row.items()}

    def _value(self, name: str, value: Any) -> Figure:
        if value is None or isinstance(value, (int, float)):
            return value
        if value == "":
            return ""
        if isinstance(value, Decimal):
            return float(value)
        if isinstance(value, datetime):
            return value.replace(tzinfo=value.tzinfo or UTC).isoformat()
        if isinstance(value, date):
            return value.isoformat()
        text = str(value)
        if name in _OPEN or (name == "interaction_type" and text in self.types):
            return text
        digest = hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()
        return f"{name[0]}…{digest[:_DIGITS]}"
