"""Keeps the log of a busy table short, without taking anything from the models.

On a local disk every commit and every look at a table lists its whole log: at 10,000 entries 20 ms
instead of 3 (an object store lists from the newest checkpoint on, so there it does not matter). A
topic that is never silent makes 170,000 commits a day. So entries are dropped that a checkpoint
covers, that are neither among the newest `KEPT_COMMITS` nor younger than `KEPT_SECONDS` (who reads
a version for that long does not lose it), and that every model, and the measures of quality, have
read.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from lakehouse.contracts.tables import OPS_DATA_QUALITY, TableSpec
from lakehouse.storage.data_quality import read_marker
from lakehouse.storage.durable import LOG
from lakehouse.storage.lake import Lake

KEPT_COMMITS: Final = 1_000
KEPT_SECONDS: Final = 10 * 60
WATERMARK: Final = "eta.watermark."
_LOG_FILE: Final = re.compile(r"(?P<version>\d{20})\.(json|crc|checkpoint\.(.*\.)?parquet)")
_CHECKPOINT: Final = ".checkpoint"


def drop_read_log(
    lake: Lake,
    spec: TableSpec,
    kept: int = KEPT_COMMITS,
    kept_seconds: float = KEPT_SECONDS,
) -> int:
    """Drop log entries that nobody needs any more; return how many files.

    The table stays as it is for everybody who opens it. Older versions than those kept cannot be
    opened any more, and a change feed cannot begin there; models begin at their watermarks, which
    are kept. Does nothing on an object store.
    """
    root = lake.disk()
    if root is None:
        return 0
    floor = lake.table(spec).version() - kept
    if floor <= 0:
        return 0
    floor = min([floor, *_watermarks(lake, root, spec)])
    files = (root / spec.path / LOG).iterdir()
    entries = [(int(m["version"]), path) for path in files if (m := _match(path))]
    checkpoints = [v for v, path in entries if v <= floor and _CHECKPOINT in path.name]
    if not checkpoints:
        return 0
    young = time.time() - kept_seconds
    dropped = 0
    # Oldest first: nobody ever sees a log with a hole behind its beginning.
    for version, path in sorted(entries):
        if version >= max(checkpoints) or path.stat().st_mtime > young:
            break
        path.unlink(missing_ok=True)
        dropped += 1
    return dropped


def _match(path: Path) -> re.Match[str] | None:
    return _LOG_FILE.fullmatch(path.name)


def _watermarks(lake: Lake, root: Path, spec: TableSpec) -> list[int]:
    """Return up to which versions the models, and the measures of quality, have read the table."""
    measured = lake.table(OPS_DATA_QUALITY).transaction_version(read_marker(spec.full_name))
    found = [] if measured is None else [int(measured)]
    for log in sorted(root.glob(f"*/*/{LOG}")):
        path = log.parent.relative_to(root).as_posix()
        properties = lake.table(path).metadata().configuration
        version = properties.get(f"{WATERMARK}{spec.full_name}")
        if version is not None:
            found.append(int(version))
    return found
