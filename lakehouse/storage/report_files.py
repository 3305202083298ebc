"""Reports as JSON files whose names begin with their time, so that names sort as times do."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakehouse.storage.whole_files import write_whole


def stamp(moment: datetime) -> str:
    """Return how the names of a moment's reports begin."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"


def write_report_file(path: Path, document: Mapping[str, Any]) -> None:
    """Write a report, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(document, indent=2) + "\n")


def newest_report_files(folder: Path, *, since: datetime, limit: int) -> list[Path]:
    """Return the newest reports from `since` on, newest first."""
    oldest = stamp(since)
    found = [path for path in folder.glob("*.json") if path.name >= oldest]
    return sorted(found, key=lambda path: path.name, reverse=True)[:limit]
