"""The `eta` command: what it prints, where, and how it fails."""

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from lakehouse.cli.main import app
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ControlDatabase

_HEAVY = ("sqlalchemy", "alembic", "pydantic", "pyarrow", "polars", "pandas", "deltalake",
          "pyspark", "fastapi", "dbt", "yaml", "numpy")  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test."""
    monkeypatch.setenv("ETA_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    for name in ("ETA_DATABASE_URL", "ETA_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def eta(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def done(*arguments: str) -> Result:
    result = eta(*arguments)
    assert result.exit_code == 0, result.output
    return result


def test_help_names_every_group() -> None:
    text = done("--help").stdout
    for group in ("tenants", "keys", "db", "--install-completion"):
        assert group in text


def test_version_is_that_of_the_distribution() -> None:
    assert re.fullmatch(r"eta \d+\.\d+\.\d+\S*\n", done("--version").stdout)


@pytest.mark.parametrize("start", [["-m", "lakehouse.cli"], ["-X", "dev", "-m", "lakehouse.cli"]])
def test_the_module_is_the_command(start: list[str]) -> None:
    command = [sys.executable, *start, "tenants", "--help"]
    text = subprocess.check_output(command, text=True, stderr=subprocess.STDOUT)
    assert "eta tenants" in text


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from lakehouse.cli.main import app\n"
        "try: app(['--help'])\n"
        f"except SystemExit: print('HEAVY', *set({_HEAVY!r}) & set(sys.modules))"
    )
    text = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert text.splitlines()[-1].strip() == "HEAVY"


def test_a_tenant_from_adding_to_listing(home: Path) -> None:
    settings = home / "settings.yml"
    settings.write_text("positive_types: [like]")
    done("tenants", "add", "acme", "--name", "Acme [shop]", "--settings", str(settings))
    done("tenants", "add", "globex")
    lines = [line.split("\t")[:2] for line in done("tenants", "list").stdout.splitlines()]
    assert lines == [["tenant", "name"], ["acme", "Acme [shop]"], ["globex", "globex"]]
    assert yaml.safe_load(done("tenants", "show", "acme").stdout)["positive_types"] == ["like"]


def test_what_show_prints_set_takes_back(home: Path) -> None:
    done("tenants", "add", "acme")
    copy = home / "copy.yml"
    copy.write_text(done("tenants", "show", "acme").stdout)
    assert TenantSettings.model_validate(yaml.safe_load(copy.read_text())) == TenantSettings()
    assert "version 1" in done("tenants", "set", "acme", "--settings", str(copy)).stderr
    copy.write_text("positive_types: [purchase]")
    assert "version 2" in done("tenants", "set", "acme", "--settings", str(copy)).stderr


def test_wrong_settings_add_no_tenant_and_name_the_field(home: Path) -> None:
    settings = home / "settings.yml"
    settings.write_text("sources: {shop: {delimiter: ';;;;;;;;;'}}")
    result = eta("tenants", "add", "acme", "--settings", str(settings))
    assert result.exit_code == 1
    assert "sources.shop.delimiter" in result.stderr
    assert "Traceback" not in result.output
    assert done("tenants", "list").stdout.count("\n") == 1


def test_a_secret_is_printed_once_and_alone(home: Path) -> None:
    done("tenants", "add", "acme")
    made = done("keys", "create", "acme", "--scope", "read", "--scope", "ingest")
    secret = made.stdout.strip()
    assert re.fullmatch(r"eta_[0-9a-f]{16}_[\w-]{43}", secret)
    assert "shown this once" in made.stderr
    random_part = secret.split("_", 2)[2]
    assert random_part not in made.stderr
    listed = done("keys", "list", "acme")
    assert "ingest,read" in listed.stdout
    assert random_part not in listed.output
    database = ControlDatabase.open(f"sqlite:///{home / 'home' / 'control.db'}")
    found = database.authenticate(secret)
    assert found is not None
    assert found.scopes == frozenset({"ingest", "read"})
    database.close()


def test_a_revoked_key_is_refused(home: Path) -> None:
    done("tenants", "add", "acme")
    secret = done("keys", "create", "acme").stdout.strip()
    done("keys", "revoke", secret.split("_")[1])
    assert done("keys", "list").stdout.splitlines()[1].split("\t")[-1] != "-"
    database = ControlDatabase.open(f"sqlite:///{home / 'home' / 'control.db'}")
    assert database.authenticate(secret) is None
    database.close()


def test_a_rotated_key_is_good_beside_the_new_one(home: Path) -> None:
    done("tenants", "add", "acme")
    old = done("keys", "create", "acme", "--scope", "read").stdout.strip()
    new = done("keys", "rotate", old.split("_")[1], "--overlap", "1").stdout.strip()
    database = ControlDatabase.open(f"sqlite:///{home / 'home' / 'control.db'}")
    assert database.authenticate(old) is not None
    assert database.authenticate(new) is not None
    database.close()


def test_webhook_sources_are_added_rotated_and_removed() -> None:
    done("tenants", "add", "acme")
    added = done("webhooks", "add", "acme", "web shop", "--adapter", "segment")
    secret = added.stdout.strip()
    assert secret.startswith("whsec_")
    line = done("webhooks", "list", "acme").stdout.splitlines()[1].split("\t")
    source = line[0]
    assert f"/v1/webhooks/{source}" in added.stderr
    assert line[1:7] == ["acme", "web shop", "segment", "clickstream", "segment", "1"]
    assert done("webhooks", "rotate", source).stdout.strip() not in ("", secret)
    again = eta("webhooks", "rotate", source)
    assert again.exit_code == 1
    assert "eta webhooks retire" in again.stderr
    done("webhooks", "retire", source)
    done("webhooks", "remove", source)
    assert eta("webhooks", "retire", source).exit_code == 1
    log = [text.split("\t") for text in done("tenants", "log", "acme").stdout.splitlines()[1:]]
    assert [entry[2] for entry in reversed(log)] == [
        "tenant.add",
        "webhook.add",
        "webhook.rotate",
        "webhook.retire",
        "webhook.remove",
    ]
    assert all(entry[1].startswith("cli:") for entry in log)
    assert "whsec_" not in done("tenants", "log").stdout


def test_a_webhooks_mapping_says_nothing_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "settings.yml"
    path.write_text("sources: {files: {skip_lines: 1}}")
    done("tenants", "add", "acme", "--settings", str(path))
    refused = eta("webhooks", "add", "acme", "shop", "--mapping", "files")
    assert refused.exit_code == 1
    assert "skip_lines" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        pytest.param(["tenants", "show", "nobody"], "eta tenants add", id="unknown tenant"),
        pytest.param(["tenants", "add", "A/B"], "lower-case", id="wrong id"),
        pytest.param(["keys", "list", "nobody"], "eta tenants list", id="keys of nobody"),
        pytest.param(["keys", "create", "nobody"], "eta tenants add", id="key of nobody"),
        pytest.param(["keys", "revoke", "0000"], "eta keys list", id="unknown key"),
        pytest.param(["tenants", "set", "a", "--settings", "none"], "path", id="no such file"),
    ],
)
def test_an_error_says_what_to_do(arguments: list[str], remedy: str) -> None:
    result = eta(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    error, todo = result.stderr.splitlines()[0], result.stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    assert todo.startswith("What to do: ")
    assert remedy in todo
    assert "Traceback" not in result.stderr


def test_wrong_scopes_are_refused() -> None:
    done("tenants", "add", "acme")
    result = eta("keys", "create", "acme", "--scope", "root")
    assert result.exit_code == 1
    assert "admin, ingest, privacy, quarantine, read" in result.stderr


def test_wrong_arguments_are_the_caller_s_error() -> None:
    assert eta("tenants", "add").exit_code == 2
    assert eta("nonsense").exit_code == 2


def _break(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_url: str) -> None:
        raise RuntimeError("row of user 4711")

    monkeypatch.setattr(ControlDatabase, "open", fail)


def test_a_place_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_url: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/there/it is")

    monkeypatch.setattr(ControlDatabase, "open", fail)
    result = eta("tenants", "list")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "Error: /there/it is: Permission denied"


def test_an_unforeseen_error_is_short_and_shows_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    _break(monkeypatch)
    result = eta("tenants", "list")
    assert result.exit_code == 70
    assert "RuntimeError" in result.stderr
    assert "ETA_DEBUG=1" in result.stderr
    assert "4711" not in result.output
    assert len(result.stderr.splitlines()) == 2


def test_debug_lets_the_error_through(monkeypatch: pytest.MonkeyPatch) -> None:
    _break(monkeypatch)
    monkeypatch.setenv("ETA_DEBUG", "1")
    assert isinstance(eta("tenants", "list").exception, RuntimeError)
    monkeypatch.delenv("ETA_DEBUG")
    assert isinstance(eta("--debug", "tenants", "list").exception, RuntimeError)


def test_upgrading_twice_changes_nothing() -> None:
    assert done("db", "current").stdout == "none\n"
    done("db", "upgrade")
    before = done("db", "current").stdout
    done("db", "upgrade")
    assert done("db", "current").stdout == before != "none\n"
