"""`eta run` before anything is started: files, headers, mappings, the lock; and `eta inspect`."""

import io
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from ingest_service import inspect_command
from lakehouse.cli import inspecting, run
from lakehouse.cli.end_to_end import TenantFiles
from lakehouse.cli.main import app
from lakehouse.cli.uploading import refused
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ControlDatabase

CONTRACT = "user_id,item_id,interaction_type,timestamp\nu1,i1,view,1717232400000\n"
SHOP = "visitor;when;what;product\n" + "".join(
    f"u{n};2024-05-0{n} 10:00:00;{word};p{n}\n" for n, word in enumerate(["view", "buy", "fav"], 1)
)
AMBIGUOUS = SHOP.replace("2024-05-0", "0").replace(" 10:00:00", "/04/2024")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ETA_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lakehouse.settings.LakeSettings.project", tmp_path, raising=False)
    for name in ("ETA_DATABASE_URL", "ETA_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[TenantFiles]:
    """What would have been started and uploaded."""
    found: list[TenantFiles] = []
    monkeypatch.setattr(run, "run_end_to_end", lambda settings, tenants, **_: found.extend(tenants))
    return found


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at by the program that a process of its own would run, without one.

    `test_what_it_says_to_type_works` starts it.
    """
    monkeypatch.setattr(inspect_command, "prepare_process", lambda: None)

    def run(command: list[str], *, input: str, **_: Any) -> SimpleNamespace:  # noqa: A002
        assert command[1:] == ["-m", inspect_command.__name__]
        answer = io.StringIO()
        with monkeypatch.context() as patch, redirect_stdout(answer):
            patch.setattr("sys.stdin", io.StringIO(input))
            inspect_command.main()
        return SimpleNamespace(stdout=answer.getvalue())

    monkeypatch.setattr(inspecting, "subprocess", SimpleNamespace(run=run, PIPE=subprocess.PIPE))


@pytest.fixture
def database(home: Path) -> Iterator[ControlDatabase]:
    opened = ControlDatabase.open(f"sqlite:///{home / 'home' / 'control.db'}")
    yield opened
    opened.close()


def eta(*arguments: str, **more: Any) -> Result:
    return CliRunner().invoke(app, list(arguments), **more)


@pytest.mark.usefixtures("in_this_process")
def test_a_file_of_the_contract_needs_no_mapping(home: Path, started: list[TenantFiles]) -> None:
    (home / "a.csv").write_text(CONTRACT)
    assert eta("run", "a.csv", "--tenant", "acme").exit_code == 0
    assert [(file.path.name, file.options.mapping) for file in started[0].files] == [
        ("a.csv", None)
    ]


@pytest.mark.usefixtures("in_this_process")
def test_without_a_mapping_and_a_terminal_it_says_what_to_type(
    home: Path, started: list[TenantFiles]
) -> None:
    (home / "a.csv").write_text(SHOP)
    result = eta("run", "a.csv", "--tenant", "acme")
    assert result.exit_code == 1
    assert "eta inspect a.csv --type interactions --save mapping.yml" in result.stderr
    assert "--settings mapping.yml" in result.stderr
    assert started == []
    assert not (home / "home" / "control.db").exists()


def test_what_it_says_to_type_works(home: Path, started: list[TenantFiles]) -> None:
    (home / "a.csv").write_text(SHOP)
    assert eta("inspect", "a.csv", "--save", "mapping.yml").exit_code == 0
    result = eta("run", "a.csv", "--tenant", "acme", "--settings", "mapping.yml")
    assert result.exit_code == 0, result.stderr
    (tenant,) = started
    assert tenant.settings is not None
    assert tenant.settings.sources["default"].columns["user_id"] == "visitor"
    assert tenant.files[0].options.mapping == "default"


@pytest.mark.usefixtures("in_this_process")
def test_files_folders_and_patterns(home: Path, started: list[TenantFiles]) -> None:
    (home / "in").mkdir()
    for name in ("in/b.csv", "in/a.csv", "c1.csv", "c2.csv"):
        (home / name).write_text(CONTRACT)
    (home / "in/.hidden").write_text("x")
    arguments = ["in", "c*.csv", "in/a.csv"]
    assert eta("run", *arguments, "--tenant", "acme").exit_code == 0
    assert [str(file.path) for file in started[0].files] == [
        "in/a.csv",
        "in/b.csv",
        "c1.csv",
        "c2.csv",
    ]


@pytest.mark.parametrize("nothing", ["none.csv", "no*.csv", "empty"])
def test_a_name_of_nothing_is_said(home: Path, nothing: str) -> None:
    (home / "empty").mkdir()
    result = eta("run", nothing, "--tenant", "acme")
    assert result.exit_code == 1
    assert nothing in result.stderr


@pytest.mark.usefixtures("in_this_process")
def test_a_file_without_rows_among_others_is_told_and_left_out(
    home: Path, started: list[TenantFiles]
) -> None:
    (home / "a.csv").write_text(CONTRACT)
    (home / "b.csv").write_text(CONTRACT.splitlines()[0] + "\n")
    (home / "c.csv").write_text("")
    result = eta("run", "a.csv", "b.csv", "c.csv", "--tenant", "acme")
    assert result.exit_code == 0
    assert "b.csv" in result.stderr
    assert "c.csv" in result.stderr
    assert "left out" in result.stderr
    assert len(started[0].files) == 1
    started.clear()
    alone = eta("run", "b.csv", "--tenant", "acme")
    assert (alone.exit_code, started) == (1, [])


@pytest.mark.usefixtures("in_this_process")
def test_wrong_rows_at_the_start_refuse_the_run_before_it_starts(
    home: Path, started: list[TenantFiles]
) -> None:
    (home / "a.csv").write_text(CONTRACT + "u1,i1,gaze,1717232400000\n")
    result = eta("run", "a.csv", "--tenant", "acme")
    assert result.exit_code == 1
    assert "unknown_interaction_type" in result.stdout
    assert "--on-error quarantine" in result.stderr
    assert started == []
    kept = eta("run", "a.csv", "--tenant", "acme", "--on-error", "quarantine")
    assert kept.exit_code == 0
    assert started[0].files[0].options.on_error == "quarantine"


@pytest.mark.usefixtures("in_this_process")
def test_a_mapping_that_does_not_fit_is_said_with_its_columns(
    home: Path, started: list[TenantFiles]
) -> None:
    (home / "a.csv").write_text(SHOP)
    (home / "s.yml").write_text("sources: {default: {columns: {user_id: nobody}}}")
    result = eta("run", "a.csv", "--tenant", "acme", "--settings", "s.yml")
    assert result.exit_code == 1
    assert "nobody (for user_id)" in result.stdout
    assert started == []


@pytest.mark.usefixtures("in_this_process")
def test_an_unknown_mapping_is_said_first(home: Path, started: list[TenantFiles]) -> None:
    (home / "a.csv").write_text(CONTRACT)
    result = eta("run", "a.csv", "--tenant", "acme", "--mapping", "nightly")
    assert result.exit_code == 1
    assert "no source mapping of that name" in result.stderr
    assert started == []


@pytest.mark.usefixtures("in_this_process")
def test_a_catalogue_may_stand_beside_the_events(home: Path, started: list[TenantFiles]) -> None:
    (home / "a.csv").write_text(
        "user_id,item_id,interaction_type,timestamp,name\nu1,i1,view,1717232400000,Boots\n"
    )
    (home / "s.yml").write_text("sources: {goods: {columns: {title: name}}}")
    arguments = ["a.csv", "--tenant", "acme", "--settings", "s.yml", "--items-mapping", "goods"]
    result = eta("run", *arguments)
    assert result.exit_code == 0, result.stderr
    assert [(file.data_type, file.options.mapping) for file in started[0].files] == [
        ("items", "goods"),
        ("interactions", None),
    ]


@pytest.mark.usefixtures("in_this_process")
def test_users_may_stand_beside_the_events(home: Path, started: list[TenantFiles]) -> None:
    (home / "a.csv").write_text(CONTRACT)
    (home / "u.csv").write_text("id,opt_in\nu1,no\n")
    (home / "s.yml").write_text(
        "sources: {users: {columns: {user_id: id, consent: opt_in}, "
        "values: {consent: {'no': '{\"training\": false}'}}}}"
    )
    arguments = ["a.csv", "--tenant", "acme", "--settings", "s.yml", "--users", "u.csv"]
    result = eta("run", *arguments)
    assert result.exit_code == 0, result.stderr
    assert [(file.data_type, file.options.mapping) for file in started[0].files] == [
        ("users", "users"),
        ("interactions", None),
    ]


@pytest.mark.usefixtures("in_this_process")
def test_the_lock_is_looked_at_before_anything(
    home: Path, started: list[TenantFiles], database: ControlDatabase
) -> None:
    (home / "a.csv").write_text(CONTRACT)
    database.run_lock.hold("nightly run")
    result = eta("run", "a.csv", "--tenant", "acme")
    assert result.exit_code == 1
    assert "nightly run" in result.stderr
    assert started == []


def test_a_tenant_of_which_nothing_was_stored_is_taken_out(database: ControlDatabase) -> None:
    database.tenants.add("acme", settings=TenantSettings())
    key = database.keys.create("acme")
    job = database.jobs.start("acme", "upload-csv", "b1")
    assert not database.tenants.remove_unused("acme"), "a job is under way"
    database.jobs.finish(job, "refused", {})
    database.keys.revoke(key.key_id)
    assert database.tenants.remove_unused("acme")
    assert not database.tenants.exists("acme")
    assert database.audit.list("acme")[0].action == "tenant.remove"
    database.tenants.add("acme")
    database.jobs.finish(database.jobs.start("acme", "upload-csv", "b2"), "succeeded", {})
    assert not database.tenants.remove_unused("acme")
    assert database.tenants.exists("acme")


@pytest.mark.usefixtures("in_this_process")
def test_an_ambiguous_date_is_asked_and_not_guessed(home: Path) -> None:
    (home / "a.csv").write_text(AMBIGUOUS)
    result = eta("inspect", "a.csv", "--save", "mapping.yml")
    assert result.exit_code == 0
    assert "day first (%d/%m/%Y) or month first (%m/%d/%Y)" in result.stderr
    mapping = yaml.safe_load((home / "mapping.yml").read_text())["sources"]["default"]
    assert "timestamps" not in mapping


@pytest.mark.usefixtures("in_this_process")
def test_a_saved_proposal_is_never_written_over_another_file(home: Path) -> None:
    (home / "a.csv").write_text(SHOP)
    (home / "mapping.yml").write_text("mine")
    assert eta("inspect", "a.csv", "--save", "mapping.yml").exit_code == 1
    assert (home / "mapping.yml").read_text() == "mine"


def test_a_refused_parameter_is_said_with_its_fault() -> None:
    problem = {
        "detail": "the request's parameters are not valid",
        "faults": [{"where": "query.delimiter", "reason": "at most 1 character"}],
    }
    error = refused(422, problem)
    assert "query.delimiter: at most 1 character" in error.message
    assert "--help" in error.remedy
