"""Wheels of this repository, built by uv and installed into environments of their own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT_DIR

NO_NETWORK = ("Failed to fetch", "Failed to download", "error sending request")


def uv(*arguments: str | Path) -> str:
    """Run uv, offline where its cache has everything, and return what it prints.

    Skips the test when something is missing that uv can fetch from nowhere.
    """
    program = shutil.which("uv")
    if program is None:
        pytest.skip("wheels are built by uv, and there is no uv on the PATH")
    for offline in (("--offline",), ()):
        command = [program, *arguments, *offline]
        done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=300)
        if done.returncode == 0:
            return done.stdout
    missing = [
        line.strip() for line in done.stderr.splitlines() if any(map(line.count, NO_NETWORK))
    ]
    if missing:
        pytest.skip(f"`uv {arguments[0]}` needs the network for what is not cached: {missing[0]}")
    pytest.fail(f"`uv {arguments[0]}` failed: {done.stderr}")


def built(package: str, folder: Path) -> Path:
    """Build a package's wheel into the folder."""
    uv("build", "--wheel", "--package", package, "--out-dir", folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def installed(wheel: Path, package: str, folder: Path, *, extra: str | None = None) -> Path:
    """The interpreter of a new environment with the wheel and what it asks for, as locked."""
    locked, environment = folder / "pylock.toml", folder / "venv"
    export = ("export", "--frozen", "--package", package, "--no-dev", "--no-emit-workspace")
    chosen = ("--extra", extra) if extra else ()
    uv(*export, *chosen, "--format", "pylock.toml", "--output-file", locked)
    uv("venv", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    install = ("pip", "install", "--python", python)
    uv(*install, "--requirements", locked)
    uv(*install, "--no-deps", wheel)
    return python


def packages_of(python: Path) -> list[str]:
    """Names of what the environment has, printed with its size."""
    packages = json.loads(uv("pip", "list", "--python", python, "--format", "json"))
    size = sum(path.lstat().st_size for path in python.parents[1].rglob("*")) / 1e6
    names = sorted(package["name"] for package in packages)
    print(f"\n{len(names)} packages, {size:.1f} MB: {', '.join(names)}")
    return names
