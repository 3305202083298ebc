"""Commands are loaded when they are called, and otherwise seem to be there as ever."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from lakehouse.cli.failures import EtaGroup
from lakehouse.cli.lazy import Place, StandIn
from lakehouse.cli.main import COMMANDS, app
from lakehouse.extras import EXTRAS

HEAVY = {"alembic", "dbt", "deltalake", "httpx", "numpy", "pandas", "polars", "pyarrow", "pyspark",
         "sqlalchemy", "yaml"}  # fmt: skip
LIGHT = ["keys", "keys list", "tenants", "upload", "upload-job", "status", "runs", "runs list",
         "webhooks", "privacy", "privacy withdraw", "dev", "serve", "consume"]  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command restricts the files of its home."""
    monkeypatch.setenv("ETA_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))


def eta(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def loaded(words: str) -> Any:
    """The command that the words call."""
    command: Any = typer.main.get_command(app)
    for word in words.split():
        _, command, _ = command.resolve_command(typer.Context(command), [word])
    return command


_FORKS = """
import json, os, sys
from lakehouse.cli.main import app
for line in sys.stdin:
    arguments, environment = json.loads(line)
    if (child := os.fork()) == 0:
        os.environ.update(environment)
        try: app(arguments, prog_name="eta")
        except SystemExit: pass
        print(*sys.modules, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("end", flush=True)
"""
"""Has loaded the program and nothing more; runs each command in a copy of itself."""


@pytest.fixture(scope="module")
def forks() -> "Iterator[subprocess.Popen[str]]":
    """A process that answers a command's arguments and environment with the modules it loads."""
    with subprocess.Popen(
        [sys.executable, "-c", _FORKS], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def printed_and_loaded(
    forks: "subprocess.Popen[str]", *arguments: str, **environment: str
) -> tuple[set[str], set[str]]:
    """The words that a command printed, and the modules of its process."""
    assert forks.stdin is not None
    assert forks.stdout is not None
    homes = {name: os.environ[name] for name in ("ETA_HOME", "ETA_PROJECT_DIR")}
    forks.stdin.write(json.dumps([arguments, {**homes, **environment}]) + "\n")
    forks.stdin.flush()
    *printed, modules = iter(forks.stdout.readline, "end\n")
    return set(" ".join(printed).split()), set(modules.split())


def modules_after(forks: "subprocess.Popen[str]", *arguments: str, **environment: str) -> set[str]:
    """The modules of a process that has run a command."""
    return printed_and_loaded(forks, *arguments, **environment)[1]


def completing(typed: str) -> dict[str, str]:
    """The environment in which bash asks for what its last word may become."""
    words = str(len(typed.split()) - 1)
    return {"COMP_WORDS": typed, "COMP_CWORD": words, "_ETA_COMPLETE": "complete_bash"}


def commands_in(modules: set[str]) -> set[str]:
    """The modules of the table that are among these."""
    return {place.where.partition(":")[0] for place in COMMANDS.values()} & modules


@pytest.mark.parametrize("words", COMMANDS)
def test_the_line_of_the_table_is_how_the_command_s_own_help_begins(words: str) -> None:
    command = loaded(words)
    assert not isinstance(command, StandIn)
    assert command.name == words.split()[-1]
    first, _, _ = inspect.cleandoc(command.help).partition("\n\n")
    assert COMMANDS[words].help == " ".join(first.split())
    told = (command.short_help, command.hidden, command.deprecated)
    assert told == (None, False, False), "lists would show it otherwise"


def test_a_command_below_a_group_stands_after_it() -> None:
    names = list(COMMANDS)
    groups = [(name.rpartition(" ")[0], name) for name in names if " " in name]
    assert groups
    assert all(names.index(group) < names.index(name) for group, name in groups)


def test_help_loads_no_command(forks: "subprocess.Popen[str]") -> None:
    assert commands_in(modules_after(forks, "--help")) == set()


def test_completing_a_name_loads_no_command(forks: "subprocess.Popen[str]") -> None:
    assert commands_in(modules_after(forks, **completing("eta pri"))) == set()


@pytest.mark.parametrize("words", LIGHT)
def test_a_light_command_loads_nothing_heavy_before_it_does_something(
    forks: "subprocess.Popen[str]", words: str
) -> None:
    modules = modules_after(forks, *words.split(), "--help")
    assert HEAVY & modules == set()
    assert commands_in(modules) >= {COMMANDS[words.split()[0]].where.partition(":")[0]}
    assert "lakehouse.cli.evaluation" not in modules


def test_no_command_needs_an_extra_to_be_loaded() -> None:
    """So that `--help` says what a command is for, and the command what to install."""
    extras = sorted(module for modules in EXTRAS.values() for module in modules)
    script = (
        "import sys; from importlib import import_module\n"
        f"sys.modules.update(dict.fromkeys({extras!r}))\n"  # `import pyspark` fails from now on
        "from lakehouse.cli.main import COMMANDS\n"
        "for place in COMMANDS.values(): import_module(place.where.partition(':')[0])"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        pytest.param("eta quar", {"quarantine"}, id="command"),
        pytest.param("eta dev sp", {"spark"}, id="group below a group"),
        pytest.param("eta dev spark u", {"up"}, id="command of a loaded group"),
        pytest.param("eta privacy e", {"erase", "export"}, id="commands of two modules"),
        pytest.param("eta privacy export --te", {"--tenant"}, id="option"),
        pytest.param("eta upload --on-error q", {"quarantine"}, id="value"),
    ],
)
def test_names_options_and_values_are_completed(
    forks: "subprocess.Popen[str]", typed: str, offered: set[str]
) -> None:
    assert printed_and_loaded(forks, **completing(typed))[0] == offered


def test_the_program_completes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lakehouse.cli"],
        env={**os.environ, **completing("eta quar")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["quarantine"]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(["kezs"], "keys"), (["dev", "sparc"], "spark"), (["keys", "lst"], "list")],
)
def test_a_mistyped_name_is_told_with_the_one_that_was_meant(
    arguments: list[str], meant: str
) -> None:
    result = eta(*arguments)
    assert result.exit_code == 2
    assert f"Did you mean '{meant}'?" in result.stderr


def test_a_group_lists_its_own_commands_and_those_of_the_table() -> None:
    text = eta("dev", "--help").stdout
    assert all(name in text for name in ("status", "down", "kafka", "airflow"))


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        pytest.param("soda.none:app", 1, "eta-lakehouse[quality]", id="an extra is missing"),
        pytest.param("lakehouse.cli.none:app", 70, "ModuleNotFoundError", id="a fault"),
    ],
)
def test_a_command_that_cannot_be_loaded_fails_as_one_that_runs(
    where: str, code: int, said: str
) -> None:
    class Broken(EtaGroup):
        table = {"broken": Place(where, "Fails.")}  # noqa: RUF012 - of this test alone

    broken = typer.Typer(cls=Broken)
    broken.callback()(lambda: None)
    result = CliRunner().invoke(broken, ["broken"])
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.output
