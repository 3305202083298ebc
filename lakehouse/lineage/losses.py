"""What became of events on this machine, kept in the home: a person looks there, not into logs.

One small file, replaced as a whole: where events went, when the last one was delivered, and when
and why the last ones were lost. What is lost stays lost, so the loss stays told until it is a month
old.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from lakehouse.storage.whole_files import write_whole

KEPT_FOR: Final = timedelta(days=30)
_FILE: Final = "lineage.json"


@dataclass(frozen=True, slots=True)
class Told:
    """How many runs a process has told so far and how many it has lost, and the last reason.

    `destination` is without credentials, and `why` the name of an error's class.
    """

    destination: str
    delivered: int
    lost: int
    why: str


class LastTold(BaseModel):
    """What is kept: times are in UTC."""

    destination: str
    delivered_at: datetime | None = None
    lost_at: datetime | None = None
    lost: int = 0
    why: str = ""


def keep_told(home: Path, told: Told, now: datetime) -> None:
    """Keep what became of a process's events. Raises `OSError` when the home cannot be written."""
    before = last_told(home)
    if before is None or before.destination != told.destination:
        before = LastTold(destination=told.destination)
    if told.delivered:
        before.delivered_at = now
    if told.lost:
        before.lost_at, before.lost, before.why = now, told.lost, told.why
    elif before.lost_at is not None and before.lost_at < now - KEPT_FOR:
        before.lost_at, before.lost, before.why = None, 0, ""
    home.mkdir(parents=True, exist_ok=True)
    write_whole(home / _FILE, before.model_dump_json())


def last_told(home: Path) -> LastTold | None:
    """Return what is kept; None before the first event, or when the file cannot be read."""
    try:
        return LastTold.model_validate_json((home / _FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def told_in_words(home: Path, url: str | None) -> str | None:
    """Return a sentence about lineage for a person; None where nobody is told."""
    if url is None:
        return None
    held = last_told(home)
    if held is None:
        return "Lineage: nothing was told yet."
    text = f"Lineage: told to {held.destination}"
    text += f", last on {held.delivered_at:%Y-%m-%d %H:%M} UTC" if held.delivered_at else ""
    if held.lost_at is None:
        return f"{text}."
    return (
        f"{text}. The last loss: {held.lost:,} runs on {held.lost_at:%Y-%m-%d %H:%M} UTC "
        f"({held.why}); see docs/lineage.md."
    )
