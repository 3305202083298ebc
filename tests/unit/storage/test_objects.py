"""Small files, the same on disk and through the object-store route."""

from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import PyFileSystem

from lakehouse.storage.objects import LocalFolder, ObjectFolder, StoreFolder


def _store(path: Path) -> ObjectFolder:
    path.mkdir()
    return StoreFolder(PyFileSystem(DeltaStorageHandler(path.as_uri(), {})))


@pytest.fixture(params=[LocalFolder, _store], ids=["disk", "object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectFolder:
    make: Callable[[Path], ObjectFolder] = request.param
    return make(tmp_path / "sets")


def test_what_is_written_is_read(folder: ObjectFolder) -> None:
    assert folder.read("acme/current.json") is None
    folder.write("acme/current.json", b"one")
    folder.write("acme/current.json", b"two")
    folder.write("globex/a.json", b"")
    assert folder.read("acme/current.json") == b"two"
    assert folder.read("globex/a.json") == b""
    for _ in range(2):
        folder.delete("globex/a.json")
    assert folder.read("globex/a.json") is None


def test_names_come_in_order_and_partial_files_are_none(folder: ObjectFolder) -> None:
    assert folder.names("acme") == []
    assert folder.folders() == []
    for name in ("b.json", "a.json"):
        folder.write(f"acme/{name}", b"x")
    folder.write("globex/c.json", b"x")
    assert folder.names("acme") == ["a.json", "b.json"]
    assert folder.folders() == ["acme", "globex"]


def test_a_failed_write_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("a", b"old")

    def fail(_handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("lakehouse.storage.durable.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        folder.write("a", b"new")
    assert folder.read("a") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_who_reads_while_it_is_replaced_reads_the_old_content(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("a", b"old")
    with (tmp_path / "a").open("rb", buffering=0) as reader:
        folder.write("a", b"new")
        assert reader.read() == b"old"
    assert folder.read("a") == b"new"
