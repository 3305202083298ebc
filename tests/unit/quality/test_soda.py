"""Soda as a library: silent, and it sends nothing."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from lakehouse.contracts.quality import Least, QualitySettings
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_ITEMS, TableSpec
from lakehouse.errors import EtaError
from lakehouse.quality.figures import LAYERS
from lakehouse.quality.soda import WARNING, switch_telemetry_off
from tests.conftest import PROJECT_DIR

CHECKS = PROJECT_DIR / "soda_checks"

PROGRAM = """
import socket, threading
from pathlib import Path

def refuse(*arguments, **options):
    raise AssertionError("a connection was opened")

socket.socket.connect = socket.create_connection = refuse
{switch}
from soda.scan import Scan
from soda.telemetry.soda_tracer import soda_trace

@soda_trace
def command():
    return Scan().execute()

command()
from opentelemetry import trace
provider = trace.get_tracer_provider()
flush = getattr(provider, "force_flush", None)
print("provider:", type(provider).__name__)
print("threads:", sorted(thread.name for thread in threading.enumerate()))
"""
SWITCH = (
    "from lakehouse.quality.soda import switch_telemetry_off\n"
    f"switch_telemetry_off(Path({str(CHECKS)!r}))"
)


def run_soda(home: Path, *, is_switched: bool) -> str:
    """Run a traced scan in a process of its own; return what it printed, errors included."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(switch=SWITCH if is_switched else "")],
        env={**os.environ, "HOME": str(home), "OTEL_BSP_SCHEDULE_DELAY": "100"},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout + done.stderr


def test_no_usage_is_sent_and_nothing_is_written_to_the_home(tmp_path: Path) -> None:
    before = (CHECKS / "telemetry.yml").read_bytes()
    output = run_soda(tmp_path, is_switched=True)
    assert "provider: ProxyTracerProvider" in output
    assert "threads: ['MainThread']" in output
    assert "collect.soda.io" not in output
    assert list(tmp_path.iterdir()) == []
    assert (CHECKS / "telemetry.yml").read_bytes() == before


def test_without_the_switch_soda_would_have_sent(tmp_path: Path) -> None:
    """What the test above would see if the switch did nothing."""
    output = run_soda(tmp_path, is_switched=False)
    assert "provider: TracerProvider" in output
    assert "OtelBatchSpanRecordProcessor" in output or "OtelBatchSpanProcessor" in output
    assert (tmp_path / ".soda" / "config.yml").is_file()


def test_telemetry_that_is_on_already_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    switch_telemetry_off(CHECKS)
    from soda.telemetry.soda_telemetry import SodaTelemetry

    class Sending:
        send_anonymous_usage_stats = True

    monkeypatch.setattr(SodaTelemetry, "soda_config", Sending())
    with pytest.raises(EtaError, match="telemetry is on"):
        switch_telemetry_off(CHECKS)


def spark_type(kind: pa.DataType) -> str:
    """An Arrow type as Spark's `describe` writes it."""
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{field.name}:{spark_type(field.type)}' for field in kind)}>"
    if pa.types.is_list(kind):
        return f"array<{spark_type(kind.value_type)}>"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    names = {pa.bool_(): "boolean", pa.date32(): "date", pa.timestamp("us", tz="UTC"): "timestamp"}
    return names.get(kind) or str(kind)


@pytest.mark.parametrize("spec", [RAW_INTERACTIONS, RAW_ITEMS], ids=lambda spec: spec.name)
def test_the_columns_checked_are_those_of_the_contract(spec: TableSpec) -> None:
    checks = yaml.safe_load((CHECKS / "raw" / "schema.yml").read_text())
    wanted = checks[f"checks for {spec.full_name}"][0]["schema"]["fail"]
    types = {field.name: spark_type(field.type) for field in spec.schema}
    assert set(wanted["when required column missing"]) == set(types)
    assert wanted["when wrong column type"] == types


def checks_of(layer: str) -> list[dict]:
    read = yaml.safe_load((CHECKS / layer / "tenants.yml").read_text())
    return [check["failed rows"] for checks in read.values() for check in checks]


TABLES_OF = {"features": {"features", "ops"}}


@pytest.mark.parametrize("layer", LAYERS)
def test_every_check_has_the_texts_of_a_report(layer: str) -> None:
    for check in checks_of(layer):
        texts = check["attributes"]
        optional = {"threshold", "limit", "is_sampled"}
        assert texts.keys() - optional == {"table", "measured", "expected", "sentence", "see"}
        words = [text for name, text in texts.items() if name not in optional]
        assert all(isinstance(text, str) and "${" not in text for text in words)
        assert "{tenant_id}" in texts["see"]
        assert texts["table"].split(".")[0] in TABLES_OF.get(layer, {layer})


@pytest.mark.parametrize("layer", LAYERS)
def test_a_check_with_a_limit_fails_and_warns_by_the_tenants_bounds(layer: str) -> None:
    """Both halves compare the figure with their own bound of one limit, in its direction."""
    limits = QualitySettings().limits()
    halves = {check["name"]: check for check in checks_of(layer) if "limit" in check["attributes"]}
    for name, check in halves.items():
        texts = check["attributes"]
        is_warning = name.endswith(WARNING)
        assert texts == halves[name.removesuffix(WARNING)]["attributes"]
        assert f"{name.removesuffix(WARNING)}{WARNING}" in halves
        assert check.get("warn") == ("when > 0" if is_warning else None)
        sign = "<" if isinstance(limits[texts["limit"]], Least) else ">"
        bound = f"{texts['limit']}_{'warn' if is_warning else 'fail'}"
        assert check["fail condition"] == f"{texts['measured']} {sign} {bound}"
        assert "{threshold:g}" in texts["expected"]


def test_every_limit_has_its_check() -> None:
    used = {check["attributes"].get("limit") for layer in LAYERS for check in checks_of(layer)}
    assert used - {None} == QualitySettings().limits().keys()


def test_the_test_process_has_no_exporter_either() -> None:
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("Otel")]
