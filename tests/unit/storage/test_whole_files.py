"""A file or a folder appears whole or not at all, whatever happens while it is written."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.storage.whole_files import whole_file, whole_folder, write_whole

_KILLED = """
import os, pathlib, signal, sys
from lakehouse.storage.whole_files import whole_file
with whole_file(pathlib.Path(sys.argv[1])) as partial:
    partial.write_text("half of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("before", [None, "as it was"])
def test_an_error_leaves_what_was_there(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "report.json"
    if before is not None:
        path.write_text(before)
    seen: list[Path] = []

    def write_half() -> None:
        with whole_file(path) as partial:
            partial.write_text("half of it")
            seen.extend(tmp_path.glob("*.json"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert seen == ([path] if before else []), "no pattern finds what is being written"
    assert [one.read_text() for one in tmp_path.iterdir()] == ([before] if before else [])


def test_a_kill_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("as it was")
    done = subprocess.run([sys.executable, "-c", _KILLED, path], timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "as it was"
    assert list(tmp_path.glob("*.json")) == [path]


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with whole_file(path) as slow:
        slow.write_text("first")
        write_whole(path, "second", sync=True)
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_is_private_before_anything_is_in_it(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        with whole_file(tmp_path / "people.csv", mode=0o600) as partial:
            assert stat.S_IMODE(partial.stat().st_mode) == 0o600
    finally:
        os.umask(umask)


def test_a_folder_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "export"
    with whole_folder(path) as partial:
        (partial / "rows").write_text("first")
    with pytest.raises(OSError, match="not empty"), whole_folder(path) as partial:
        (partial / "rows").write_text("second")
    assert (path / "rows").read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
