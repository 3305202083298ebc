"""The two jars that teach Spark the Delta format, pinned by checksum, fetched once.

Ivy, which pyspark ships, does the fetching: it knows the public repository, proxies and mirrors
(`~/.ivy2/ivysettings.xml`), so no address stands here.
"""

import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lakehouse.errors import EtaError

SYSTEM_TRUST_STORE: Final = Path("/etc/ssl/certs/java/cacerts")
FETCH_TIMEOUT_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Jar:
    """A jar by its Maven coordinates and the SHA-256 of its bytes."""

    organisation: str
    module: str
    revision: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name in the cache, as Maven names it."""
        return f"{self.module}-{self.revision}.jar"


DELTA_JARS: Final = (
    Jar(
        "io.delta",
        "delta-spark_4.2_2.13",
        "4.4.0",
        "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead",
    ),
    Jar(
        "io.delta",
        "delta-storage",
        "4.4.0",
        "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
    ),
)


def ensure_jars(
    jars: tuple[Jar, ...], cache_dir: Path, *, java_home: Path, spark_home: Path
) -> list[Path]:
    """Return the paths of `jars`, fetching those that `cache_dir` lacks.

    A jar enters the cache whole and with the pinned checksum, or not at all; several processes may
    fetch at once. Raises `EtaError` when a jar cannot be had.
    """
    folder = cache_dir / "jars"
    paths = []
    for jar in jars:
        path = folder / jar.file_name
        if not path.is_file():
            _fetch(jar, path, java_home=java_home, spark_home=spark_home)
        paths.append(path)
    return paths


def run_ivy(arguments: Sequence[str], *, java_home: Path, spark_home: Path) -> str:
    """Run Ivy with these arguments; return what it said. What it has fetched tells how it went."""
    trust = f"-Djavax.net.ssl.trustStore={SYSTEM_TRUST_STORE}"
    command = [
        str(java_home / "bin" / "java"),
        *([trust] if SYSTEM_TRUST_STORE.is_file() else []),
        *("-cp", f"{spark_home}/jars/*", "org.apache.ivy.Main", "-warn"),
        *arguments,
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stdout + done.stderr).strip()


def _fetch(jar: Jar, path: Path, *, java_home: Path, spark_home: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        arguments = (
            *("-confs", "default", "-notransitive", "-cache", f"{scratch}/cache"),
            *("-dependency", jar.organisation, jar.module, jar.revision),
            *("-retrieve", f"{scratch}/[artifact]-[revision].[ext]"),
        )
        said = run_ivy(arguments, java_home=java_home, spark_home=spark_home)
        fetched = Path(scratch) / jar.file_name
        if not fetched.is_file():
            raise EtaError(
                f"could not fetch {jar.organisation}:{jar.module}:{jar.revision} "
                f"({said.splitlines()[-1] if said else 'no answer'})",
                remedy="connect to a Maven repository once (a mirror goes into "
                f"~/.ivy2/ivysettings.xml), or put {jar.file_name} into {path.parent} by hand",
            )
        digest = hashlib.sha256(fetched.read_bytes()).hexdigest()
        if digest != jar.sha256:
            raise EtaError(
                f"{jar.file_name} was fetched but its SHA-256 is {digest}, not {jar.sha256}",
                remedy="do not use this file: find out which repository or proxy sent it",
            )
        fetched.replace(path)
