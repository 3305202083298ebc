"""Spool files go when their upload or their process does."""

import subprocess
import sys
from pathlib import Path

import pytest

from ingest_service.sources.uploads.spool import Spool, SpoolQuotaError

HOLDER = """
import sys, pathlib
from ingest_service.sources.uploads.spool import Spool
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


def test_an_owner_has_so_much_on_the_disk_and_no_more(tmp_path: Path) -> None:
    """What any process keeps for a job counts; what another owner has does not."""
    spool, megabyte = Spool(tmp_path, 20 * 1024 * 1024), bytes(1024 * 1024)
    with spool.file("acme") as kept:
        for _ in range(10):
            kept.write(megabyte)
        kept.keep()
    with Spool(tmp_path, 20 * 1024 * 1024).file("acme") as file:
        for _ in range(15):
            file.write(megabyte)
        with pytest.raises(SpoolQuotaError):
            file.write(megabyte)
    with spool.file("acme") as file, spool.file("other") as other:
        for _ in range(12):
            file.write(megabyte)
            other.write(megabyte)
        with pytest.raises(SpoolQuotaError), spool.file("acme"):
            pass
        file.drop()
        with spool.file("acme"):
            pass
    assert list(tmp_path.iterdir()) == [kept.path]


def test_a_dropped_file_frees_its_room_at_once(tmp_path: Path) -> None:
    with Spool(tmp_path).file() as file:
        file.write(b"x" * 100_000)
        with file.path.open("rb") as reader:
            file.drop()
            assert reader.read() == b""
