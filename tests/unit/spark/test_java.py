"""Finding a Java: the machine's own when it is whole, else the packaged one behind a launcher."""

import os
import subprocess
from pathlib import Path

import pytest

from lakehouse.spark import java
from lakehouse.spark.java import find_java_home, is_full_java

ALL_MODULES = "java.base java.sql jdk.incubator.vector"


def fake_java(home: Path, version: str = "17.0.2", modules: str = ALL_MODULES) -> Path:
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (home / "release").write_text(f'JAVA_VERSION="{version}"\nMODULES="{modules}"\n')
    return home


@pytest.fixture(autouse=True)
def no_system_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "SYSTEM_JAVA_FOLDERS", ())


@pytest.mark.parametrize(
    ("version", "modules", "expected"),
    [
        pytest.param("17.0.2", ALL_MODULES, True, id="17"),
        pytest.param("21", ALL_MODULES, True, id="21"),
        pytest.param("11.0.1", ALL_MODULES, False, id="too old"),
        pytest.param("25.0.3", ALL_MODULES, False, id="not tried with Spark"),
        pytest.param("1.8.0_392", ALL_MODULES, False, id="8"),
        pytest.param("17.0.2", "java.base java.sql", False, id="without the vector module"),
    ],
)
def test_which_java_is_taken(tmp_path: Path, version: str, modules: str, expected: bool) -> None:
    assert is_full_java(fake_java(tmp_path / "jvm", version, modules)) is expected


def test_an_empty_folder_is_no_java(tmp_path: Path) -> None:
    assert not is_full_java(tmp_path)


def test_java_home_goes_before_the_path_and_the_path_before_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported, on_path = fake_java(tmp_path / "exported"), fake_java(tmp_path / "path")
    system = fake_java(tmp_path / "jvms" / "system")
    monkeypatch.setattr(java, "SYSTEM_JAVA_FOLDERS", (tmp_path / "jvms",))
    path = {"PATH": str(on_path / "bin")}
    assert find_java_home(tmp_path, {**path, "JAVA_HOME": str(exported)}) == exported
    assert find_java_home(tmp_path, path) == on_path
    assert find_java_home(tmp_path, {"PATH": ""}) == system


def test_an_exported_java_that_spark_cannot_use_is_passed_over(tmp_path: Path) -> None:
    old, good = fake_java(tmp_path / "old", "11"), fake_java(tmp_path / "good")
    environment = {"JAVA_HOME": str(old), "PATH": str(good / "bin")}
    assert find_java_home(tmp_path, environment) == good


def test_without_any_the_packaged_one_runs_spark_options(tmp_path: Path) -> None:
    home = find_java_home(tmp_path / "a cache", {"PATH": ""})
    program = home / "bin" / "java"
    assert os.access(program, os.X_OK)
    done = subprocess.run(
        [program, "--add-modules=jdk.incubator.vector", "-Dname=two words", "-version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'version "21' in done.stderr
    assert find_java_home(tmp_path / "a cache", {"PATH": ""}) == home
