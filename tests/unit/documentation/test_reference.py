"""The generated pages are complete, and say what the code says."""

import inspect
import re
from typing import Any

import pytest
import typer
import yaml
from prometheus_client import CollectorRegistry, Counter, Enum

from lakehouse.cli.main import app
from lakehouse.settings import LakeSettings
from tests.conftest import PROJECT_DIR
from tools.reference import adr_index, settings_page
from tools.reference.cli_page import commands
from tools.reference.metrics_page import RULES, _of_registry
from tools.reference.pages import COMMAND, PAGES
from tools.reference.text import table


@pytest.mark.parametrize("path", PAGES)
def test_page_says_what_the_code_says(path: str) -> None:
    assert (PROJECT_DIR / path).read_text() == PAGES[path](), f"stale; write it with: {COMMAND}"


@pytest.mark.parametrize("cls", [cls for _, _, cls in settings_page._CLASSES])
def test_every_setting_has_a_meaning(cls: Any) -> None:
    assert set(settings_page.meanings(cls)) == set(cls.model_fields)


def test_every_settings_class_is_on_the_page() -> None:
    sources = [*PROJECT_DIR.glob("lakehouse/**/*.py"), *PROJECT_DIR.glob("ingest_service/**/*.py")]
    found = {
        name
        for source in sources
        for name in re.findall(r"^class (\w+)\(BaseSettings\)", source.read_text(), re.MULTILINE)
    }
    assert found == {cls.__name__ for _, _, cls in settings_page._CLASSES}


def test_variables_of_dbt_the_dags_and_options_are_on_the_page() -> None:
    files = ["profiles.yml", "dags/eta_dags/config.py"]
    texts = " ".join((PROJECT_DIR / file).read_text() for file in files)
    used = set(re.findall(r"ETA_[A-Z_]*[A-Z]", texts))
    for _, command in commands(typer.main.get_command(app)):
        used |= {one.envvar for one in command.params if one.envvar}
    assert used
    assert used <= settings_page.variables()


def test_page_of_settings_does_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings_page.settings_page()
    monkeypatch.setenv("ETA_HOME", "/elsewhere")
    monkeypatch.setenv("HOME", "/elsewhere")
    assert settings_page.settings_page() == before
    assert str(PROJECT_DIR) not in before


def test_every_command_and_option_says_what_it_is_for() -> None:
    silent = []
    for words, command in commands(typer.main.get_command(app)):
        options = [one for one in command.params if one.param_type_name == "option"]
        silent += [] if command.help else [words]
        silent += [f"{words} {one.opts[0]}" for one in options if not one.help]
    assert silent == []


def test_metrics_are_shown_as_prometheus_sees_them() -> None:
    registry = CollectorRegistry()
    Counter("sent_total", "Sent.", ("kind",), registry=registry)
    Enum("mood", "Now.", states=["good"], registry=registry)
    shown = [(m.name, m.kind, tuple(m.labels)) for m in _of_registry(registry)]
    assert shown == [("sent_total", "counter", ("kind",)), ("mood", "state", ("mood",))]


def test_every_metric_in_the_code_is_on_the_page() -> None:
    names = re.compile(r'^ +"((?:eta|data)_[a-z_]+)"[:,]', re.MULTILINE)
    files = [
        *PROJECT_DIR.glob("ingest_service/**/metrics.py"),
        *PROJECT_DIR.glob("lakehouse/**/*metrics.py"),
    ]
    page = (PROJECT_DIR / "docs/reference/metrics.md").read_text()
    found = {name for file in files for name in names.findall(file.read_text())}
    assert len(found) > 40
    assert {name for name in found if f"| `{name}` |" not in page} == set()


def test_runbook_has_every_alert() -> None:
    rules = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    alerts = {rule["alert"] for rule in rules if "alert" in rule}
    runbook = (PROJECT_DIR / "docs/runbook.md").read_text()
    assert set(re.findall(r"^### (Eta\w+)", runbook, re.MULTILINE)) == alerts


def test_a_record_without_a_status_is_refused(tmp_path: Any) -> None:
    record = tmp_path / "0001-x.md"
    record.write_text("# 0001: X\n\n## Context\n\nStatus: late\n")
    with pytest.raises(ValueError, match=r"0001-x\.md: begin with"):
        adr_index.title_and_status(record)


def test_a_cell_cannot_end_its_table() -> None:
    assert table(("a",), [("x | y\nz",)])[-1] == "| x \\| y z |"


def test_meanings_follow_the_code() -> None:
    class Example(LakeSettings):
        first: int = 1
        """Has one."""
        second: int = 2

    assert inspect.isclass(Example)
    assert settings_page.meanings(Example) == {"first": "Has one."}
