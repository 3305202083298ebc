"""Libraries that read exports, each in an environment of its own, run as a child process."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.conftest import PROJECT_DIR


def why_not(group: str) -> str | None:
    """Why a library cannot run here; None when it can. `group` is its dependency group."""
    if _python(group).is_file():
        return None
    return f"no {group}: UV_PROJECT_ENVIRONMENT=.venv-{group} uv sync --only-group {group}"


def read_by(group: str, program: str, folder: Path, *arguments: str) -> Any:
    """Run a Python program in an export's folder; return what its last line says in JSON."""
    done = subprocess.run(
        [_python(group), "-c", program, *arguments],
        cwd=folder,
        env={"PATH": f"{_python(group).parent}:/usr/bin:/bin", "HOME": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def _python(group: str) -> Path:
    return PROJECT_DIR / f".venv-{group}" / "bin" / "python"
