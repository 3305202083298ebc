"""Which files a person means: one, a folder, a pattern; no URL is fetched."""

import re
from collections.abc import Iterable
from glob import glob
from pathlib import Path
from typing import Final

from lakehouse.errors import EtaError

_URL: Final = re.compile(r"^([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_PATTERN: Final = re.compile(r"[*?\[]")


def input_files(named: list[str]) -> list[Path]:
    """Return the files that arguments name, each once, those of a folder or pattern by name.

    Files whose name begins with a point do not count, nor what is in folders of a folder. Raises
    `EtaError` for a URL, and for a name that stands for no file.
    """
    found: dict[Path, None] = {}
    for name in named:
        found.update(dict.fromkeys(_files_of(name)))
    return list(found)


def _files_of(name: str) -> list[Path]:
    scheme = _URL.match(name)
    if scheme is not None:
        raise EtaError(
            f"{scheme[1]}:// is not read: no URL is fetched",
            remedy="get the file with the tool of that storage (such as `aws s3 cp` or `curl -O`), "
            "and name the copy",
        )
    path = Path(name)
    if path.is_dir():
        files = _visible(path.iterdir())
        problem = f"the folder {name} holds no file"
    elif path.exists():
        return [path]
    else:
        is_pattern = _PATTERN.search(name) is not None
        # `Path.glob` takes no pattern from the root on
        found = glob(name, recursive=True) if is_pattern else []  # noqa: PTH207
        files = _visible(map(Path, found))
        problem = f"{name} stands for no file"
    if not files:
        raise EtaError(problem, remedy="check the name; `ls` shows what is there")
    return files


def _visible(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.is_file() and not path.name.startswith("."))
