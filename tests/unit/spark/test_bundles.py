"""Programs of several jars enter the cache whole and as pinned, or not at all."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.spark import bundles
from lakehouse.spark.bundles import fetch_bundle, unpack


def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> Path:
    """Fetch a bundle whose lock names `a.jar` and `b.jar`; `files` is what Ivy finds."""
    monkeypatch.setattr(bundles, "_HERE", tmp_path)
    digests = {name: bundles.hashlib.sha256(name.encode()).hexdigest() for name in LOCKED}
    lock = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    (tmp_path / "thing.lock").write_text(lock)

    def ivy(arguments: Sequence[str], **_: object) -> str:
        folder = Path(arguments[0])
        for name, content in files.items():
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        return "server unreachable"

    monkeypatch.setattr(bundles, "run_ivy", ivy)
    settings = LakeSettings(cache_dir=tmp_path / "cache")
    return fetch_bundle("thing-1", "thing.lock", settings, lambda scratch: [f"{scratch}/files"])


LOCKED = ("a.jar", "b.jar")


def test_what_was_fetched_is_kept_and_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch(tmp_path, monkeypatch, {name: name.encode() for name in LOCKED})
    assert sorted(path.name for path in folder.iterdir()) == list(LOCKED)
    assert fetch(tmp_path, monkeypatch, {}) == folder


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        pytest.param({"a.jar": b"a.jar", "b.jar": b"evil"}, "b.jar", id="another content"),
        pytest.param({"a.jar": b"a.jar"}, "b.jar", id="one is missing"),
        pytest.param(
            {"a.jar": b"a.jar", "b.jar": b"b.jar", "c.jar": b""}, "c.jar", id="one too many"
        ),
    ],
)
def test_what_differs_from_the_lock_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], problem: str
) -> None:
    with pytest.raises(EtaError, match=problem) as caught:
        fetch(tmp_path, monkeypatch, files)
    assert "do not use" in caught.value.remedy
    assert not list((tmp_path / "cache").iterdir())


def test_what_cannot_be_had_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EtaError, match="server unreachable") as caught:
        fetch(tmp_path, monkeypatch, {})
    assert "connect to a Maven repository" in caught.value.remedy


@pytest.mark.parametrize("has_filter", [True, False], ids=["a filter", "none, before 3.11.4"])
def test_an_archive_is_unpacked_with_and_without_a_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_filter: bool
) -> None:
    (tmp_path / "inside").write_text("text")
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "inside", "inside")
    if not has_filter:
        extract = tarfile.TarFile.extractall
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
        monkeypatch.setattr(tarfile.TarFile, "extractall", lambda self, path: extract(self, path))
    unpack(tmp_path / "packed.tar.gz", tmp_path / "out")
    assert (tmp_path / "out" / "inside").read_text() == "text"
