"""Every documented command is one that its program takes: words, options, kinds of values."""

import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from dbt.cli.main import cli as dbt

from lakehouse.cli.main import app
from tests.conftest import PROJECT_DIR
from tests.unit.documentation.examples import PAGES, Command, commands, page_id, parse

KNOWN = {
    "eta", "dbt", "python", "uv", "uvx", "curl", "pip", "docker", "pytest", "mkdocs", "pre-commit",
    "airflow", "cat", "df", "helm", "kill", "kubectl", "openssl", "spark-submit",
    ".ci/run", ".ci/nightly",
}  # fmt: skip
ETA: Any = typer.main.get_command(app)
VARIABLES_OF_DBT = {"evaluation", "rebuild", "strict", "audit", "eta_plan"}
"""Beside those of `dbt_project.yml`: asked for by a command, absent otherwise."""


def wrong(command: Command) -> str | None:
    """What is wrong with a command, in a sentence; None when its program would take it."""
    program, *rest = command.words
    try:
        if program == "eta":
            return _refused(ETA, rest, whole=command.whole)
        if program == "dbt":
            return _refused(dbt, rest, whole=command.whole) or _unknown_to_dbt(rest)
        if program == "python":
            return _no_module(rest)
        if program == "--script":
            return _no_script(rest)
        if program == "pip":
            return _no_extra(rest)
    except Exception as error:  # noqa: BLE001 - whatever a program's parser says
        return f"{type(error).__name__}: {error}"
    if command.whole and program not in KNOWN:
        return "a program that no page has used: add it to KNOWN if it is one"
    return None


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_would_be_taken(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETA_API_KEY", "exported by the lines before")
    told = [(str(c), reason) for c in commands(page.read_text()) if (reason := wrong(c))]
    assert told == []


def test_every_command_in_a_message_would_be_taken() -> None:
    files = [
        f for name in ("lakehouse", "ingest_service") for f in (PROJECT_DIR / name).rglob("*.py")
    ]
    named = [
        (file.name, Command(words, whole=False))
        for file in files
        for text in _texts(ast.parse(file.read_text()))
        for span in re.findall(r"`((?:uv run )?(?:eta|dbt) [^`\n]+)`", text)
        for words in parse(span)
    ]
    assert len(named) > 100
    assert [(name, str(c), reason) for name, c in named if (reason := wrong(c))] == []


def _texts(tree: ast.AST) -> Iterator[str]:
    """Every text of a module, with `…` for what is put in when it runs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values]
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("eta tables healthy", "No such command", id="word"),
        pytest.param("eta tables health --fast", "No such option", id="option"),
        pytest.param("eta keys rotate", "Missing parameter", id="argument"),
        pytest.param("eta keys rotate k --overlap long", "valid number", id="kind of value"),
        pytest.param("eta tables health too", "unexpected extra argument", id="too many"),
        pytest.param("dbt build --selct x", "No such option", id="option of dbt"),
        pytest.param("dbt build --select +no_model+", "no_model", id="model"),
        pytest.param("dbt build --vars '{no_variable: 1}'", "no_variable", id="variable"),
        pytest.param("python -m benchmarks.nothing", "no module", id="module"),
        pytest.param("python -m benchmarks.ingest --row 5", "--row", id="option of a module"),
        pytest.param("uv run --script examples/no.py", "no script", id="script"),
        pytest.param("uv run --script examples/sasrec.py --fast", "--fast", id="option of one"),
        pytest.param("pip install 'eta-lakehouse[gpu]'", "gpu", id="extra"),
        pytest.param("ate tables health", "no page has used", id="program"),
    ],
)
def test_what_would_be_refused_is_noticed(line: str, reason: str) -> None:
    (words,) = parse(line)
    assert reason in str(wrong(Command(words, whole=True)))


def test_shell_is_read_as_a_shell_does() -> None:
    script = (
        "cat > a.csv <<'END'\neta no\nEND\nexport A=1 KEY=$(uv run eta keys create x) # eta no\n"
        'eval "$(eta dev s3 up)" && B=2 eta serve &\ncurl -d \'{"a":\n 1}\' \\\n  x'
    )
    assert list(parse(script)) == [
        ("cat",), ("eta", "keys", "create", "x"), ("eta", "dev", "s3", "up"),
        ("eta", "serve"), ("curl", "-d", '{"a":\n 1}', "x"),
    ]  # fmt: skip


def _refused(root: Any, words: list[str], *, whole: bool) -> str | None:
    """Parse as the program does; a command in a sentence may leave out what has to be given."""
    words = [word.strip("[]…") or "x" for word in words]
    if any(word in ("--help", "COMMAND") for word in words):
        words = [word for word in words if word not in ("--help", "COMMAND")]
        whole = False
    command, context = root, root.make_context("x", [], resilient_parsing=True)
    while hasattr(command, "commands"):
        if words and words[0] in {option for one in command.params for option in one.opts}:
            words, whole = words[1:], False
            continue
        if not words or words[0] == "x":
            return "which command?" if whole else None
        name, command, words = command.resolve_command(context, words)
        if command is None:
            return f"No such command: {name}"
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    try:
        command.make_context(command.name, list(words), parent=context.parent)
    except Exception as error:
        if absent := re.search(r"(\w+) '(.+)' does not exist", str(error)):
            there = str(PROJECT_DIR if absent[1] == "directory" else PROJECT_DIR / "README.md")
            words = [word.replace(absent[2], there) for word in words]
            return _refused(command, words, whole=whole)
        cut_short = "Missing" in type(error).__name__ or "requires an argument" in str(error)
        if whole or not cut_short:
            raise
    return None


def _unknown_to_dbt(words: list[str]) -> str | None:
    """What a selection or a variable names that the project does not have."""
    models = [*(PROJECT_DIR / "dbt_project/models").rglob("*")]
    known = {m.stem for m in models} | {m.name for m in models if m.is_dir()}
    for option, value in pairwise(words):
        if option in ("--select", "-s", "--exclude"):
            names = [re.sub(r"^\d*\+|\+\d*$", "", name) for name in re.split(r"[ ,]", value)]
            methods = ("tag:", "state:", "source:", "package:", "resource_type:", "result:")
            missing = [n for n in names if not n.startswith(methods) and n not in known]
            if missing:
                return f"no such model: {missing}"
        if option == "--vars":
            project = yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text())
            missing = sorted(set(yaml.safe_load(value)) - set(project["vars"]) - VARIABLES_OF_DBT)
            if missing:
                return f"no such variable: {missing}"
    return None


def _no_module(words: list[str]) -> str | None:
    if words[:1] != ["-m"] or len(words) == 1:
        return None
    spec = importlib.util.find_spec(words[1])
    if spec is None or spec.origin is None:
        return f"there is no module {words[1]}"
    if words[1].split(".")[0] not in ("benchmarks", "tools", "lakehouse"):
        return None
    entry = Path(spec.origin)
    return _no_option(
        [*entry.parent.glob("*.py")] if entry.name == "__init__.py" else [entry], words
    )


def _no_script(words: list[str]) -> str | None:
    """What is wrong with `uv run --script FILE …`; helpers of a script lie beside it."""
    script = PROJECT_DIR / words[0]
    if not script.is_file() or not script.read_text().startswith("# /// script\n"):
        return f"there is no script {words[0]}"
    return _no_option([*script.parent.glob("*.py")], words)


def _no_option(files: list[Path], words: list[str]) -> str | None:
    known = {
        node.value
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    used = {word.split("=")[0] for word in words if re.match(r"--[a-z]", word)}
    return f"no such option: {missing}" if (missing := sorted(used - known - {"--help"})) else None


def _no_extra(words: list[str]) -> str | None:
    project = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]
    asked = {e for word in words for e in re.findall(r"eta-lakehouse\[([\w,]+)\]", word)}
    missing = {e for group in asked for e in group.split(",")} - set(
        project["optional-dependencies"]
    )
    return f"no such extra: {sorted(missing)}" if missing else None
