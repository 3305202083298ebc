"""Where Spark puts what does not fit its memory: shuffles and spills, which hold people's rows.

Below the home, so that it is as private as the lake, and an erasure searches it. A Spark that ends
removes its files; one that was killed leaves them. So whoever starts a Spark empties the folder if
no other process uses it. That is known by a lock that ends with the process; a server of
another container on the same volume has it, too.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from pathlib import Path
from threading import Lock
from typing import Final

from lakehouse.storage.lake import Lake

FOLDER: Final = "spark-scratch"
MODE: Final = 0o700

_held: dict[Path, int] = {}
_lock: Final = Lock()


def scratch_dir(lake: Lake) -> Path:
    """Return the folder of Spark's temporary files."""
    return lake.home / FOLDER


def hold_scratch(lake: Lake) -> int:
    """Use the folder until this process ends; empty it first if no other does. Idempotent.

    Returns the descriptor of the lock: a program that takes the place of this process, or outlives
    it, has to inherit it.
    """
    folder = scratch_dir(lake)
    with _lock:
        if folder in _held:
            folder.mkdir(mode=MODE, exist_ok=True)
            return _held[folder]
        folder.mkdir(mode=MODE, parents=True, exist_ok=True)
        folder.chmod(MODE)
        locks = lake.home / "locks"
        locks.mkdir(mode=MODE, exist_ok=True)
        descriptor = os.open(locks / f"{FOLDER}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        _empty_unless_used(folder, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        _held[folder] = descriptor
        return descriptor


def empty_scratch(lake: Lake) -> bool:
    """Empty the folder if nobody uses it; False when this or another process does.

    A process whose Spark is stopped uses it no longer.
    """
    if _has_spark():
        return False
    if not scratch_dir(lake).is_dir():
        return True
    descriptor = hold_scratch(lake)
    with _lock:
        is_empty = _empty_unless_used(scratch_dir(lake), descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return is_empty


def _has_spark() -> bool:
    """Whether a Spark runs in this process; does not import it for that."""
    pyspark = sys.modules.get("pyspark")
    return pyspark is not None and pyspark.SparkContext._active_spark_context is not None  # noqa: SLF001


def _empty_unless_used(folder: Path, descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return True
