"""The models as an analyst installs them: one wheel with `[models]`, in a folder that is empty."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from deltalake import DeltaTable

from tests.conftest import PROJECT_DIR
from tests.support.wheels import built, installed

FOLDERS = ("dbt_project", "macros", "soda_checks")
FILES = ("dbt_project.yml", "profiles.yml")
MOST_BYTES = 2_000_000
KINDS = ("click", "like", "view")
ROWS = [
    "user_id,item_id,interaction_type,timestamp",
    *(
        f"u{user},i{(user * 7 + n) % 12},{KINDS[n % 3]},{1767225600000 + n * 6000}"
        for user in range(6)
        for n in range(8)
    ),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("eta-lakehouse", tmp_path_factory.mktemp("dist"))


def test_the_wheel_has_every_file_that_the_models_are_made_of(wheel: Path) -> None:
    assert wheel.stat().st_size < MOST_BYTES
    with ZipFile(wheel) as archive:
        packed = {
            name.removeprefix("lakehouse/project/"): archive.read(name)
            for name in archive.namelist()
            if name.startswith("lakehouse/project/")
        }
    tracked = subprocess.check_output(
        ["git", "ls-files", "-z", *FOLDERS, *FILES], cwd=PROJECT_DIR, text=True
    )
    wanted = {name: (PROJECT_DIR / name).read_bytes() for name in tracked.split("\0") if name}
    assert packed == wanted


class Installation:
    """An environment with the wheel and `[models]`, and an empty folder to work in."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.bin, self.folder = python.parent, folder
        (self.site_packages,) = python.parents[1].glob("lib/python*/site-packages")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.bin / "eta", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
            capture_output=True,
            text=True,
            timeout=600,
        )

    def files(self) -> dict[Path, tuple[int, int]]:
        """Size and time of what is installed, compiled modules apart."""
        found = {path: path.stat() for path in self.site_packages.rglob("*") if path.is_file()}
        return {
            path: (stat.st_size, stat.st_mtime_ns)
            for path, stat in found.items()
            if path.suffix != ".pyc"
        }


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    python = installed(wheel, "eta-lakehouse", tmp_path_factory.mktemp("models"), extra="models")
    made = Installation(python, tmp_path_factory.mktemp("empty"))
    before = made.files()
    yield made
    assert made.files() == before, "nothing is written beside what is installed"


@pytest.mark.spark
def test_dbt_builds_a_model_in_an_empty_folder(installation: Installation) -> None:
    done = installation.run("dbt", "run", "--select", "+stg_interactions")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "PASS=" in done.stdout
    home = installation.folder / ".eta"
    assert (home / "lake" / "staging" / "stg_interactions" / "_delta_log").is_dir()
    assert (home / "target" / "manifest.json").is_file()
    assert (home / "logs" / "dbt.log").is_file()
    assert [path.name for path in installation.folder.iterdir()] == [".eta"]


def test_what_needs_a_checkout_says_so(installation: Installation) -> None:
    done = installation.run("dags", "build")
    assert done.returncode == 1
    assert "needs a checkout" in done.stderr


@pytest.mark.nightly
@pytest.mark.spark
def test_a_file_becomes_training_data_in_an_empty_folder(installation: Installation) -> None:
    (installation.folder / "mine.csv").write_text("\n".join(ROWS) + "\n")
    done = installation.run("run", "--tenant", "mine", "--interactions", "mine.csv")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "mine: published UNCHECKED" in done.stderr
    assert "uv pip install 'eta-lakehouse[quality]' --override" in done.stderr
    # a small tenant's table has no deletion vectors: every reader of Delta takes it
    table = DeltaTable(installation.folder / ".eta/lake/training/training_data")
    assert table.protocol().min_reader_version == 1
    assert sorted(path.name for path in installation.folder.iterdir()) == [".eta", "mine.csv"]
