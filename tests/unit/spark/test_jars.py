"""Jars enter the cache whole and as pinned, or not at all."""

import hashlib
from pathlib import Path

import pytest

from lakehouse.errors import EtaError
from lakehouse.spark.jars import DELTA_JARS, Jar, ensure_jars

JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(b"a jar").hexdigest())


def fake_java(home: Path, script: str) -> Path:
    """A `java` that stands in for Ivy; `$out` is the folder it retrieves into."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    find_out = 'for arg do case "$arg" in *"[artifact]"*) out=$(dirname "$arg");; esac; done\n'
    program.write_text("#!/bin/sh\n" + find_out + script)
    program.chmod(0o755)
    return home


def ensure(tmp_path: Path, script: str, jar: Jar = JAR) -> list[Path]:
    home = fake_java(tmp_path / "java", script)
    return ensure_jars((jar,), tmp_path / "cache", java_home=home, spark_home=tmp_path)


def test_a_fetched_jar_is_kept_and_not_fetched_again(tmp_path: Path) -> None:
    (path,) = ensure(tmp_path, 'printf "a jar" > "$out/thing-1.0.jar"\n')
    assert path.read_bytes() == b"a jar"
    (tmp_path / "java" / "bin" / "java").write_text("#!/bin/sh\nexit 1\n")
    assert ensure_jars(
        (JAR,), tmp_path / "cache", java_home=tmp_path / "java", spark_home=tmp_path
    ) == [path]


def test_another_checksum_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    with pytest.raises(EtaError, match="SHA-256") as caught:
        ensure(tmp_path, 'printf "another jar" > "$out/thing-1.0.jar"\n')
    assert "do not use" in caught.value.remedy
    assert list((tmp_path / "cache" / "jars").iterdir()) == []


def test_a_jar_that_cannot_be_had_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EtaError, match=r"org.example:thing:1.0 .*unreachable") as caught:
        ensure(tmp_path, 'echo "server unreachable" >&2; exit 1\n')
    assert "put thing-1.0.jar into" in caught.value.remedy


def test_the_real_jars_are_as_pinned(tmp_path: Path) -> None:
    """Fetches them once per machine, as every first run does."""
    from lakehouse.settings import LakeSettings
    from lakehouse.spark.java import find_java_home, find_spark_home

    cache = LakeSettings().cache_dir
    paths = ensure_jars(
        DELTA_JARS, cache, java_home=find_java_home(cache, {}), spark_home=find_spark_home()
    )
    for jar, path in zip(DELTA_JARS, paths, strict=True):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256
