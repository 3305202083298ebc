"""Rows that fail a dbt test hold back their tenants in a run of ours, and fail plain dbt."""

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import yaml

from lakehouse.control.database import ControlDatabase
from lakehouse.control.failed_tests import FailedTest, failed_tests, note_failed
from lakehouse.errors import EtaError
from lakehouse.quality.gate import run_gate
from lakehouse.quality.telling import outcomes
from lakehouse.settings import LakeSettings
from lakehouse.training.build import run_dbt
from lakehouse.training.failed_tests import HOLD_BACK
from tests.conftest import PROJECT_DIR
from tests.support.lake import SessionLake
from tests.support.own_project import make_project

RUN = "dag/it's a run"
TESTS = {
    "finds_rows": "-- depends on: {{ source('raw', 'items') }}\n"
    "select tenant_id from values ('b'), ('a'), ('b') as found(tenant_id)",
    "finds_nothing": "select tenant_id from values ('a') as t(tenant_id) where false",
    "only_warns": "{{ config(severity='warn') }} select 'a' as tenant_id",
    "names_nobody": "select 1 as found",
    "is_of_nobody": "select tenant_id from values ('a'), (null) as t(tenant_id)",
    "is_no_query": "select no_such_column",
}


@pytest.fixture(scope="module")
def project(lake: SessionLake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeSettings]:
    """The session's lake under a project with tests of its own, and a control database."""
    folder = tmp_path_factory.mktemp("held-back")
    project = make_project(folder / "project")
    for name, query in TESTS.items():
        path = project / "dbt_project" / "tests" / f"{name}.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text(query)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ETA_PROJECT_DIR", str(project))
        patch.setenv("DBT_TARGET_PATH", str(project / "target"))
        settings = LakeSettings(home=folder, lake_uri=lake.settings.lake, run_id=RUN)
        yield settings.model_copy(update={"project_dir": project})


@pytest.fixture
def database(project: LakeSettings) -> Iterator[ControlDatabase]:
    with closing(ControlDatabase.open(project.control_url)) as database:
        database.runs.finish(database.runs.start(RUN, {}).run_id, "succeeded")
        database.runs.start(RUN, {})  # without notes
        yield database


def run_tests(settings: LakeSettings, *names: str, holds_back: bool = True) -> Any:
    variables = {HOLD_BACK: "1"} if holds_back else {}
    return run_dbt(settings, ["test", "--select", *names], variables=variables)


def noted(database: ControlDatabase) -> dict[str, FailedTest]:
    return {test.name: test for test in failed_tests(database.runs.get(RUN).notes)}


@pytest.mark.spark
def test_failing_rows_are_noted_by_tenant_and_plain_dbt_fails(
    project: LakeSettings, database: ControlDatabase
) -> None:
    assert not run_tests(project, "finds_rows", holds_back=False).success
    assert noted(database) == {}
    assert run_tests(project, "finds_rows", "finds_nothing", "only_warns").success
    (failed,) = noted(database).values()
    assert failed == FailedTest("finds_rows", ["raw.items"], {"a": 1, "b": 2})

    said = outcomes((), ["a", "b", "c"], {}, [failed])
    assert said["c"] == ((), ())
    (outcome,) = said["b"][0]
    assert (outcome.check, outcome.layer, outcome.table) == (
        "finds_rows",
        "raw",
        "raw.items",
    )
    assert (outcome.measured, outcome.threshold) == (2, 0)
    assert outcome.sentence == "The dbt test finds_rows found 2 rows."
    assert outcome.see == "uv run dbt test --select finds_rows --vars 'tenant_id: b'"

    unasked = run_gate(project, [], failed=[failed])
    assert {name: result.passed for name, result in unasked.items()} == {"a": False, "b": False}
    assert unasked["b"].report["failures"][0]["sentence"] == outcome.sentence


@pytest.mark.spark
def test_a_test_that_passes_again_is_taken_back_and_one_not_run_stays(
    project: LakeSettings, database: ControlDatabase
) -> None:
    for name in ("finds_nothing", "of_another_task", "is_no_query"):
        note_failed(database.runs, RUN, FailedTest(name, ["raw.items"], {"a": 1}))
    assert not run_tests(project, "finds_nothing", "is_no_query").success
    assert set(noted(database)) == {"of_another_task", "is_no_query"}


@pytest.mark.spark
@pytest.mark.parametrize("name", ["names_nobody", "is_of_nobody", "is_no_query"])
def test_rows_that_are_no_tenants_fail_the_run(
    project: LakeSettings, database: ControlDatabase, name: str
) -> None:
    assert not run_tests(project, name).success
    assert noted(database) == {}


@pytest.mark.spark
def test_what_cannot_be_noted_fails_the_command(
    project: LakeSettings, database: ControlDatabase
) -> None:
    assert run_tests(project, "finds_rows").success
    with pytest.raises(EtaError, match="there is no run"):
        run_tests(project.model_copy(update={"run_id": "nobody's"}), "finds_rows")
    with pytest.raises(EtaError, match="part of no run"):
        run_tests(project.model_copy(update={"run_id": None}), "finds_rows")


def test_every_test_of_the_project_says_whose_rows_it_found() -> None:
    """The gate can hold back nobody whom a test does not name."""
    folder = PROJECT_DIR / "dbt_project"
    used = set()
    for path in folder.rglob("*.yml"):
        for model in yaml.safe_load(path.read_text()).get("models", ()):
            for part in (model, *model.get("columns", ())):
                tests = part.get("data_tests", ())
                used |= {test if isinstance(test, str) else next(iter(test)) for test in tests}
    assert used == {"primary_key", "event_type", "one_of"}
    for path in (*(folder / "tests").rglob("*.sql"), *(PROJECT_DIR / "macros/tests").glob("*.sql")):
        text = path.read_text()
        if "{% macro" not in text:
            last = text.rpartition("\nselect")[2] if "{% test" not in text else text
            selected = last.partition("from")[0]
            assert re.search(r"tenant_id|columns \| join|\*", selected), path
