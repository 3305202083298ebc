"""The checksums of an export, so that a copy of it can be compared: `sha256sum -c SHA256SUMS`."""

import hashlib
from pathlib import Path
from typing import Final

CHECKSUMS: Final = "SHA256SUMS"


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of every file below a folder beside them, in order of the names."""
    lines = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
