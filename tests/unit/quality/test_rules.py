"""The rules and the dashboard that are shipped: promtool has no complaint, names are real."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from lakehouse.quality.metrics import COST_GAUGES, DATA_GAUGES, FLAG_GAUGES, OWN_GAUGES
from tests.conftest import PROJECT_DIR

FOLDER = PROJECT_DIR / "deploy" / "prometheus"
DASHBOARD = PROJECT_DIR / "deploy" / "grafana" / "data_quality.json"


def promtool(*arguments: str) -> str:
    """Run promtool in the folder of the rules; fails the test when it complains."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (`apt-get install prometheus`)")
    done = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_and_configuration_are_valid() -> None:
    assert "SUCCESS" in promtool("check", "rules", "--lint-fatal", "rules.yml")
    promtool("check", "config", "--syntax-only", "prometheus.yml")


def test_alerts_fire_and_clear_when_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yml")


def test_every_alert_has_a_test_and_says_what_to_do() -> None:
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    tested = set(re.findall(r"alertname: (\w+)", (FOLDER / "rules_test.yml").read_text()))
    assert {rule["alert"] for rule in alerts} == tested
    for rule in alerts:
        assert rule["annotations"].keys() == {"summary", "what_to_do"}


def test_dashboard_shows_every_gauge_of_quality() -> None:
    queries = " ".join(
        target["expr"]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel["targets"]
    )
    for name in (*DATA_GAUGES, *FLAG_GAUGES, *COST_GAUGES, *OWN_GAUGES):
        assert name in queries
