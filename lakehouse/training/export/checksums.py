"""`SHA256SUMS` of an export: written last, and checked before a folder is built upon."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import Final

from lakehouse.errors import EtaError

CHECKSUMS: Final = "SHA256SUMS"
_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")


def write_checksums(folder: Path, *, without: str = CHECKSUMS) -> None:
    """Write a checksum of every other file, as `sha256sum --check` reads it, but of `without`."""
    digests = {name: digest for name, (digest, _) in file_digests(folder).items()}
    lines = [f"{digest}  {name}\n" for name, digest in digests.items() if name != without]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def file_digests(folder: Path) -> dict[str, tuple[str, int]]:
    """Return file → SHA-256 and bytes of everything below a folder, in the order of paths."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): (file_digest(path), path.stat().st_size)
        for path in files
    }


def listed_files(folder: Path) -> dict[str, str]:
    """Return file → checksum as an export's list has them; raise `EtaError` without a list."""
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EtaError(
            f"{folder} has no {CHECKSUMS} that can be read: it is no export, or not a whole one",
            remedy="name the folder that `eta export` has written, as it was written",
        ) from error
    found = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None or not _is_inside(match[2]):
            raise _not_as_written(folder, CHECKSUMS)
        found[match[2]] = match[1]
    return found


def check_files(folder: Path) -> None:
    """Raise `EtaError` unless every file of an export is as it was written."""
    for name, digest in listed_files(folder).items():
        path = folder / name
        try:
            is_same = file_digest(path) == digest
        except OSError:
            is_same = False
        if not is_same:
            raise _not_as_written(folder, name)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _not_as_written(folder: Path, name: str) -> EtaError:
    return EtaError(
        f"{name} in {folder} is missing, cut or changed",
        remedy="copy the folder again from where it was exported, or take the whole export",
    )
