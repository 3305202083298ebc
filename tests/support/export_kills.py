"""Exports that are killed at the n-th step of their work, in a process of their own.

Steps are what changes a file: spilled rows, row groups, ends of files, lines, the rename.
"""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training import rows
from lakehouse.training.export import gorse, journal, parquet, recbole, run
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.publish import find_snapshot

_STEPS = (
    (rows.Ranges, "add"),
    (parquet.PartFiles, "_write_group"),
    (parquet.PartFiles, "_end_file"),
    (journal.Journal, "add"),
    (recbole, "write_lines"),
    (gorse, "write_lines"),
    (run, "write_documents"),
    (run, "write_checksums"),
    (Path, "rename"),
)
CHOSEN: dict[str, dict[str, Any]] = {
    "parquet": {"features": ["all"], "history": 2},
    "rectools": {"features": ["user", "item"]},
}
"""Format → what is chosen with it."""


@contextlib.contextmanager
def many_files(on_step: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Make ranges, row groups and files small; `on_step` is called before each step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "ROW_GROUP_ROWS", 50)
        patch.setitem(rows.sorted_rows.__kwdefaults__, "range_rows", 120)
        patch.setitem(parquet.ParquetExport.__init__.__kwdefaults__, "file_bytes", 5_000)
        patch.setattr(parquet.PartFiles.__init__, "__defaults__", (5_000, None))
        for owner, name in _STEPS:
            patch.setattr(owner, name, _counted(getattr(owner, name), on_step))
        yield


def _counted(step: Callable[..., Any], on_step: Callable[[], None]) -> Callable[..., Any]:
    @functools.wraps(step)
    def counted(*args: Any, **named: Any) -> Any:
        on_step()
        return step(*args, **named)

    return counted


def export(settings: LakeSettings, kind: str, to: Path, say: Callable[[str], None]) -> None:
    """Export acme's current snapshot."""
    lake = Lake(settings)
    manifest = find_snapshot(lake, "acme", "current")
    export_snapshot(lake, manifest, ExportFormat(kind), to, say=say, **CHOSEN.get(kind, {}))


def killed(settings: LakeSettings, kind: str, to: Path, step: int) -> None:
    """Export in another process, which kills itself before a step."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.export_kills", kind, str(to), str(step)],
        env={**os.environ, "ETA_TEST_SETTINGS": settings.model_dump_json()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def _main(kind: str, to: str, step: str) -> None:
    left = int(step)

    def die() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = LakeSettings(**json.loads(os.environ["ETA_TEST_SETTINGS"]))
    with many_files(die):
        export(settings, kind, Path(to), print)


if __name__ == "__main__":
    _main(*sys.argv[1:])
