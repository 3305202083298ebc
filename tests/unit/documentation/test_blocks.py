"""YAML, JSON, Python and SQL on the pages are read by what reads them in truth."""

import ast
import importlib
import inspect
import json
import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
import sqlglot
import yaml

from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.settings_file import read_settings
from lakehouse.quality.report import write_report
from tests.unit.documentation.examples import (
    PAGES,
    Block,
    blocks,
    commands,
    page_id,
    pages_with,
    spans,
)

OTHER_YAML = {"docs/extending.md", "docs/kubernetes.md"}
"""Pages with YAML that is no tenant's settings."""
ELSEWHERE = ("airflow", "feast", "rectools")
"""Packages of other environments, whose names cannot be looked up here."""


@pytest.mark.parametrize("page", pages_with("yaml", "yml"), ids=page_id)
def test_settings_are_valid(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(blocks(page.read_text(), "yaml", "yml")):
        if page_id(page) in OTHER_YAML:
            assert isinstance(yaml.safe_load(block.text), dict)
            continue
        file = tmp_path / f"{number}.yml"
        file.write_text(block.text)
        assert isinstance(read_settings(file), TenantSettings)


@pytest.mark.parametrize("page", pages_with("json"), ids=page_id)
def test_answers_have_the_fields_of_an_answer(page: Path, client: Any, tmp_path: Path) -> None:
    write_report(tmp_path / "gate.json", {}, checked_at=datetime(2026, 5, 1, tzinfo=UTC), seconds=1)
    known = [set(json.loads((tmp_path / "gate.json").read_text()))]
    for schema in client.app.openapi()["components"]["schemas"].values():
        known.append(set(schema.get("properties", {})))
    for block in blocks(page.read_text(), "json"):
        fields = set(json.loads(block.text.replace("}, …", "}").replace("…", "")))
        assert any(fields <= one for one in known), sorted(fields)


@pytest.mark.parametrize("page", pages_with("python", "py"), ids=page_id)
def test_python_names_only_what_exists(page: Path) -> None:
    told = [w for block in blocks(page.read_text(), "python", "py") for w in wrong_names(block)]
    assert told == []


def test_python_that_names_something_else_is_noticed() -> None:
    block = Block(
        "python",
        "from eta_client import EtaClient, Nobody\nimport eta_server\n"
        "with EtaClient('u', 'k') as client:\n    client.trak('u')\n    client.track('u', no=1)\n",
    )
    assert [one.split(":")[0] for one in wrong_names(block)] == [
        "eta_client has no Nobody",
        "no module eta_server",
        "EtaClient has no trak",
        "EtaClient.track",
    ]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_sql_parses(page: Path) -> None:
    text = page.read_text()
    statements = [block.text for block in blocks(text, "sql")]
    statements += [span for span in spans(text) if re.match(r"(select|with|insert into) .+ ", span)]
    statements += [
        value
        for command in commands(text)
        for option, value in pairwise(command.words)
        if option == "--inline"
    ]
    for statement in statements:
        if "…" in statement:
            continue
        plain = re.sub(r"\{\{.*?\}\}", "t", statement).strip().rstrip(",")
        whole = plain if re.match(r"(?i)select|with|insert", plain) else f"select {plain} from t"
        assert sqlglot.parse_one(whole, dialect="spark")


def wrong_names(block: Block) -> list[str]:
    """What a block imports or calls that is not there, or not so; it has to compile first."""
    compiled = compile(block.text, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(compiled, CodeType)
    names: dict[str, Any] = {}
    told: list[str] = []
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            told += _import(node, names)
    opened = {
        item.optional_vars.id: names[item.context_expr.func.id]
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.With | ast.AsyncWith)
        for item in node.items
        if isinstance(item.optional_vars, ast.Name)
        and isinstance(item.context_expr, ast.Call)
        and isinstance(item.context_expr.func, ast.Name)
        and item.context_expr.func.id in names
    }
    for node in ast.walk(ast.parse(block.text)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)):
                if name in opened:
                    told += _call(opened[name], method, node)
    return told


def _import(node: ast.Import | ast.ImportFrom, names: dict[str, Any]) -> list[str]:
    modules = (
        [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
    )
    told = []
    for module in modules:
        if module.split(".")[0] in ELSEWHERE:
            continue
        try:
            there = importlib.import_module(module)
        except ModuleNotFoundError:
            told.append(f"no module {module}")
            continue
        for alias in node.names if isinstance(node, ast.ImportFrom) else []:
            if hasattr(there, alias.name):
                names[alias.asname or alias.name] = getattr(there, alias.name)
            else:
                told.append(f"{module} has no {alias.name}")
    return told


def _call(cls: Any, method: str, node: ast.Call) -> list[str]:
    if not hasattr(cls, method):
        return [f"{cls.__name__} has no {method}"]
    try:
        inspect.signature(getattr(cls, method)).bind(
            cls, *node.args, **{str(keyword.arg): keyword for keyword in node.keywords}
        )
    except TypeError as error:
        return [f"{cls.__name__}.{method}: {error}"]
    return []
