"""The environment of a home: everything that a run writes lies below it."""

import os
from pathlib import Path


def environment_of(home: Path) -> dict[str, str]:
    """Return the environment in which every command of a home runs."""
    scratch = home.parent / "tmp"
    scratch.mkdir(exist_ok=True)
    return {
        **os.environ,
        "ETA_HOME": str(home),
        "DBT_TARGET_PATH": str(home / "target"),
        "DBT_LOG_PATH": str(home / "logs"),
        "TMPDIR": str(scratch),
    }
