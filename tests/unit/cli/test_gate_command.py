"""`eta gate`: what it prints, and what its exit code says."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.errors import EtaError
from lakehouse.quality.outcomes import CheckOutcome, GateResult, verdict

FAILURE = CheckOutcome(
    check="staged_user_id_is_given",
    layer="staging",
    table="staging.stg_interactions",
    measured=3,
    expected="0",
    sentence="3 of 10 interactions have no user_id.",
    see='uv run dbt show --inline "select 1"',
)


def result(tenant_id: str, *failures: CheckOutcome) -> GateResult:
    return verdict(tenant_id, failures, (), {}, report_file="reports/gate/now.json")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run `eta gate` with a gate that returns these results."""
    monkeypatch.setenv("ETA_HOME", str(tmp_path))
    asked: list[object] = []

    def run(results: object, *arguments: str):
        def stand_in(settings: object, tenants: object, **how: object) -> object:
            asked.append(tenants)
            run.layers = how.get("layers")
            if isinstance(results, Exception):
                raise results
            return results

        monkeypatch.setattr("lakehouse.cli.gate.run_gate", stand_in)
        return CliRunner().invoke(app, ["gate", *arguments])

    run.asked = asked
    return run


def test_all_passed(gate) -> None:
    done = gate({"acme": result("acme")})
    assert done.exit_code == 0
    assert "1 of 1 tenants passed" in done.output
    assert gate.asked == [None]


def test_a_failed_tenant_is_exit_code_1_and_a_line(gate) -> None:
    done = gate({"acme": result("acme"), "globex": result("globex", FAILURE)})
    assert done.exit_code == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert line.split("\t")[1:] == [
        "globex",
        "staged_user_id_is_given",
        "staging.stg_interactions",
        "3",
        "0",
        "3 of 10 interactions have no user_id.",
        'uv run dbt show --inline "select 1"',
    ]
    assert "1 of 2 tenants passed" in done.output


def test_tenants_may_be_named(gate) -> None:
    gate({"a": result("a"), "b": result("b")}, "--tenant", "a", "--tenant", "b")
    assert gate.asked == [["a", "b"]]


@pytest.mark.parametrize(
    ("arguments", "layers"),
    [
        pytest.param((), None, id="all"),
        pytest.param(("--until", "raw"), ("raw",), id="raw alone"),
        pytest.param(("--until", "staging"), ("raw", "staging"), id="up to staging"),
    ],
)
def test_layers_may_be_fewer(gate, arguments: tuple[str, ...], layers: object) -> None:
    gate({"a": result("a")}, *arguments)
    assert gate.layers == layers


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        pytest.param(EtaError("the checks could not be run", remedy="look"), 1, id="not a pass"),
        pytest.param(RuntimeError("secret"), 70, id="unforeseen"),
    ],
)
def test_an_error_is_not_a_pass(gate, failure: Exception, code: int) -> None:
    done = gate(failure)
    assert done.exit_code == code
    assert "passed" not in done.output
    assert "secret" not in done.output


def test_wrong_usage_is_exit_code_2(gate) -> None:
    assert gate({}, "--no-such-option").exit_code == 2
