"""Programs of several jars, fetched once through Ivy and checked against a list of checksums.

The list (`NAME.lock` beside this module, as `sha256sum` writes it) names every file: one that is
not on it, or differs, is refused.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.spark.jars import run_ivy
from lakehouse.spark.java import find_java_home, find_spark_home
from lakehouse.storage.whole_files import whole_folder

_HERE: Final = Path(__file__).parent


def java_program(settings: LakeSettings) -> Path:
    """Return the `java` that servers are started with."""
    return find_java_home(settings.cache_dir, dict(os.environ)) / "bin" / "java"


def fetch_bundle(
    name: str, lock: str, settings: LakeSettings, arguments: Callable[[Path], Sequence[str]]
) -> Path:
    """Return the cache's folder of this name, filled by Ivy on first use.

    `arguments` are Ivy's, made for a scratch folder; what is to be kept has to arrive in its
    `files`. The folder enters the cache whole and as the lock has it, or not at all. Raises
    `EtaError` when it cannot be had.
    """
    folder = settings.cache_dir / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        files = Path(scratch) / "files"
        java_home = find_java_home(settings.cache_dir, dict(os.environ))
        said = run_ivy(arguments(Path(scratch)), java_home=java_home, spark_home=find_spark_home())
        if not files.is_dir():
            last = said.splitlines()[-1].strip() if said else "no answer"
            raise EtaError(
                f"could not fetch {name} from Maven Central ({last})",
                remedy="connect to a Maven repository once; the files are kept in "
                f"{folder} and not fetched again",
            )
        _verify(files, locked(lock))
        _enter(files, folder)
    return folder


def locked(lock: str) -> dict[str, str]:
    """Return the SHA-256 of every file of a bundle, by name."""
    lines = (_HERE / lock).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a verified archive into `folder`, whole or not at all.

    Python before 3.11.4 has no filter; what is in the archive is settled by its checksum.
    """
    if folder.is_dir():
        return
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        with tarfile.open(archive) as packed:
            if hasattr(tarfile, "data_filter"):
                packed.extractall(scratch, filter="data")
            else:
                packed.extractall(scratch)  # noqa: S202
        _enter(Path(scratch), folder)


def _verify(files: Path, wanted: dict[str, str]) -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.iterdir()}
    wrong = sorted(name for name in found | wanted if found.get(name) != wanted.get(name))
    if wrong:
        raise EtaError(
            f"these files are missing, unknown or have another SHA-256: {', '.join(wrong)}",
            remedy="do not use them: find out which repository or proxy sent them",
        )


def _enter(files: Path, folder: Path) -> None:
    try:
        with whole_folder(folder) as partial:
            shutil.copytree(files, partial, dirs_exist_ok=True)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise
