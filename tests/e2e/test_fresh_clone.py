"""A stranger's first hour: a fresh copy of the project, plain dbt, then the demo."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable, QueryBuilder

from tests.conftest import PROJECT_DIR

BIN = Path(sys.executable).parent


class Clone:
    """A copy of what git would hand over, and an environment with nothing exported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = subprocess.check_output(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=PROJECT_DIR,
            text=True,
        )
        for name in filter(None, names.split("\0")):
            source, target = PROJECT_DIR / name, folder / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment; fails the test when it fails."""
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def rows(self, table: str, tenant_id: str, condition: str = "true") -> int:
        """Rows of a tenant in a table of its lake, those of a condition alone."""
        found = QueryBuilder().register("found", DeltaTable(self.folder / ".eta" / "lake" / table))
        query = f"select count(*) from found where tenant_id = '{tenant_id}' and {condition}"
        return int(found.execute(query).read_all()[0][0].as_py())


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("clone"))


def test_docs_before_anything_was_ingested(clone: Clone) -> None:
    clone.run("dbt", "docs", "generate")
    catalog = json.loads((clone.folder / "target" / "catalog.json").read_text())
    assert "source.eta.raw.interactions" in catalog["sources"]


def test_build_before_anything_was_ingested(clone: Clone) -> None:
    models = ("staging", "item_history", "item_availability", "training_data", "positives")
    # the models' own unit tests run in test_incremental, and in the nightly build of everything
    selected = (*models, "--indirect-selection", "cautious", "--exclude", "test_type:unit")
    done = clone.run("dbt", "build", "--select", *selected)
    assert "Completed successfully" in done.stdout
    assert clone.rows("training/training_data", "acme") == 0


@pytest.mark.nightly
def test_build_of_all_models_before_anything_was_ingested(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    clone = Clone(tmp_path_factory.mktemp("empty"))
    assert "Completed successfully" in clone.run("dbt", "build").stdout
    assert clone.rows("training/training_data", "acme") == 0


def test_demo_ends_in_labelled_training_data(clone: Clone) -> None:
    done = clone.run("eta", "demo")
    for tenant in ("acme", "globex"):
        positives = clone.rows("training/training_data", tenant, "label = 1")
        assert positives > 1_000
        sampled = clone.rows("training/training_data", tenant, "negative_type = 'sampled'")
        assert sampled == 4 * positives
    assert str(clone.folder / ".eta/lake/training/training_data") in done.stdout + done.stderr
    assert "eta run --tenant mine" in done.stderr


def test_the_demo_scores_at_least_95(clone: Clone) -> None:
    clone.run("eta", "quality", "refresh")
    for tenant in ("acme", "globex"):
        done = clone.run("eta", "quality", "report", "--tenant", tenant, "--format", "json")
        report = json.loads(done.stdout)
        assert {kind["data_type"] for kind in report["data_types"]} >= {"interactions", "items"}
        assert report["score"] >= 95


def test_one_model_for_one_tenant(clone: Clone) -> None:
    done = clone.run("dbt", "run", "--select", "user_features", "--vars", "tenant_id: acme")
    assert "PASS=" in done.stdout
    assert clone.rows("features/user_features", "acme") > 100


def test_models_selected_in_a_new_process_find_what_they_read(clone: Clone) -> None:
    done = clone.run("dbt", "run", "--select", "training_data", "positives")
    assert "UNCHANGED" in done.stdout


def test_status_shows_every_tenant(clone: Clone) -> None:
    done = clone.run("eta", "status")
    header, *lines = done.stdout.splitlines()
    assert header.split("\t")[:3] == ["table", "acme", "globex"]
    assert any(line.startswith("training.training_data\t") for line in lines)
