"""Spool files go when their upload or their process does."""

import subprocess
import sys
from pathlib import Path

import pytest

from ingest_service.spool import Spool

HOLDER = """
import sys, pathlib
from ingest_service.spool import Spool
with Spool(pathlib.Path(sys.argv[1])).file() as file:
    file.write(b"x")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_file_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    with pytest.raises(RuntimeError), spool.file() as file:  # noqa: PT012
        file.write(b"ab")
        file.write(b"c")
        assert file.path.read_bytes() == b"abc"
        assert file.path.stat().st_mode & 0o077 == 0
        raise RuntimeError
    assert list((tmp_path / "spool").iterdir()) == []


def test_files_of_living_processes_stay_and_of_dead_ones_go(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    assert Spool(tmp_path).clean() == 0
    holder.kill()
    holder.wait()
    assert len(list(tmp_path.iterdir())) == 1
    assert Spool(tmp_path).clean() == 1
    assert list(tmp_path.iterdir()) == []


def test_cleaning_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert Spool(tmp_path / "none").clean() == 0
