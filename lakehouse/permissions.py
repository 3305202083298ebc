"""Who may read the files of the lake and of the home: their owner alone, unless a setting says so.

Set once per process, by every entry point: what a process creates has no bits of its umask, and a
child (the JVM, dbt, delta-rs' threads) inherits that. Spark sets the modes of its files itself and
gets the same mask by its configuration (`lakehouse.spark.runtime`).
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings


def restrict_files(settings: LakeSettings) -> None:
    """Let what this process creates be readable by its owner alone (`ETA_UMASK`); idempotent.

    The folders of home and lake lose the same bits if they are there: nobody else then comes by
    what earlier versions left readable in them. One of another owner is left as it is.
    """
    os.umask(settings.file_mask)
    folders = [settings.home_dir, *([Path(settings.lake)] if settings.is_local else [])]
    for folder in folders:
        with suppress(OSError):
            mode = stat.S_IMODE(folder.stat().st_mode)
            if mode & settings.file_mask:
                folder.chmod(mode & ~settings.file_mask)
