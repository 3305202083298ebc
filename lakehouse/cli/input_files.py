"""The files that a command's arguments name: files, folders and patterns."""

from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from lakehouse.errors import EtaError


def files_of(given: Sequence[Path]) -> list[Path]:
    """Return the files, each once: of a folder and of a pattern (`clicks-*.csv`) in their order.

    Of a folder its own files count, not those within folders in it, nor hidden ones. Raises
    `EtaError` for what names no file.
    """
    found: dict[Path, None] = {}
    for one in given:
        if one.is_dir():
            files = sorted(
                path for path in one.iterdir() if path.is_file() and not path.name.startswith(".")
            )
        elif one.is_file():
            files = [one]
        else:
            files = [Path(path) for path in sorted(glob(str(one), recursive=True))]  # noqa: PTH207
            files = [path for path in files if path.is_file()]
        if not files:
            raise _nothing(one)
        found |= dict.fromkeys(files)
    return list(found)


def _nothing(given: Path) -> EtaError:
    if given.is_dir():
        what = "holds no files"
    elif has_magic(str(given)):
        what = "fits no file"
    else:
        what = "is no file or folder"
    return EtaError(f"{given} {what}", remedy="check the path; see `eta run --help`")
