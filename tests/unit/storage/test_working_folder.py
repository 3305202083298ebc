"""A folder in the making: one process at a time, found again after a kill, whole at the end."""

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from lakehouse.storage.working_folder import FolderInUseError, working_folder, working_place


@pytest.fixture(params=["folders", "files"])
def locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What can be locked: on NFS no folder can."""
    flock = fcntl.flock

    def as_on_nfs(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, operation)

    if request.param == "files":
        monkeypatch.setattr(fcntl, "flock", as_on_nfs)
    return str(request.param)


def test_it_appears_whole_and_alone(tmp_path: Path, locks: str) -> None:
    path = tmp_path / "out.d"
    with working_folder(path) as folder:
        (folder / "rows").write_text("first")
        assert not path.exists()
        with pytest.raises(FolderInUseError), working_folder(path):
            pass
        assert (folder / "rows").read_text() == "first"
    assert (path / "rows").read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_deletes_it_and_a_kill_does_not(tmp_path: Path, locks: str) -> None:
    path = tmp_path / "out"
    working_place(path).mkdir()
    (working_place(path) / "rows").write_text("left")
    if locks == "files":
        (tmp_path / ".out.lock").touch()
    with pytest.raises(RuntimeError, match="found: left"), working_folder(path) as folder:
        _fail(folder / "rows")
    assert list(tmp_path.iterdir()) == []


def _fail(file: Path) -> None:
    raise RuntimeError(f"found: {file.read_text()}")


def test_whoever_waited_for_a_folder_that_was_renamed_begins_a_new_one(
    tmp_path: Path, locks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one ends between opening and locking."""
    path, renamed = tmp_path / "out", tmp_path / "another"
    flock = fcntl.flock

    def after_another(descriptor: int, operation: int) -> None:
        if not renamed.exists():
            working_place(path).rename(renamed)
            (tmp_path / ".out.lock").unlink(missing_ok=True)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", after_another)
    with working_folder(path) as folder:
        (folder / "rows").write_text("mine")
    assert (path / "rows").read_text() == "mine"
    assert list(renamed.iterdir()) == []
