"""What killed exports have left: hidden folders that only the same export would find again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich import filesize

from lakehouse.storage.lake import Lake
from lakehouse.storage.working_folder import left_behind, remove_left
from lakehouse.training.export import journal


@dataclass(frozen=True, slots=True)
class LeftExport:
    """A hidden folder of a killed export; `bytes` of its files, and when it last changed (UTC)."""

    folder: Path
    bytes: int
    changed_at: datetime


def export_places(lake: Lake) -> list[Path]:
    """Return the folders that exports go to unless told otherwise, one per tenant."""
    exports = lake.home / "exports"
    return sorted(one for one in exports.iterdir() if one.is_dir()) if exports.is_dir() else []


def left_exports(places: Iterable[Path]) -> list[LeftExport]:
    """Return what killed exports have left directly in some folders.

    A folder counts that has an export's journal, or nothing: a hidden folder of somebody else's
    that is called the same does not, nor does one in which a living process works.
    """
    return [
        _described(folder) for place in places for folder in left_behind(place) if _is_ours(folder)
    ]


def delete_left(found: LeftExport) -> bool:
    """Delete what a killed export has left; False when an export has gone on there meanwhile."""
    return remove_left(found.folder)


def told_of_others(folder: Path) -> str | None:
    """Return a sentence about what other killed exports have left beside a folder, if any."""
    others = [one for one in left_exports([folder.parent]) if one.folder != folder]
    if not others:
        return None
    size = filesize.decimal(sum(one.bytes for one in others))
    which = "A hidden folder" if len(others) == 1 else f"{len(others):,} hidden folders"
    return (
        f"{which} of other killed exports ({size}) in {folder.parent}: the same exports, run "
        f"again, go on there, and `eta export-clean {folder.parent}` deletes what is left."
    )


def _is_ours(folder: Path) -> bool:
    return (folder / journal.NAME).is_file() or not any(folder.iterdir())


def _described(folder: Path) -> LeftExport:
    found = [path.stat() for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
    changed = max(one.st_mtime for one in found)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return LeftExport(folder, size, datetime.fromtimestamp(changed, UTC))
