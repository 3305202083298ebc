"""Files and folders that appear whole or not at all: made beside their place, renamed into it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from lakehouse.storage.durable import sync_file, sync_folder


@contextmanager
def whole_file(path: Path, *, mode: int = 0o666, sync: bool = False) -> Iterator[Path]:
    """Give a new, empty file that takes the place of `path` at the end of the block.

    An error in the block leaves `path` as it was. No pattern like `*.json` finds the new file
    before, and two writers never share one. With `sync` it is on disk, name and all, at the end.
    """
    partial = _beside(path)
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        yield partial
        if sync:
            sync_file(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    if sync:
        sync_folder(path.parent)


def write_whole(path: Path, content: str | bytes, *, mode: int = 0o666, sync: bool = False) -> None:
    """Write a file by `whole_file`; text as UTF-8."""
    with whole_file(path, mode=mode, sync=sync) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a new folder that becomes `path` at the end of the block, synced.

    Raises `OSError` when `path` is there by then.
    """
    partial = _beside(path)
    partial.mkdir()
    try:
        yield partial
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    sync_folder(path.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{token_hex(4)}")
