"""What enters the models as a tenant id: a text or nothing, wherever it comes from."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from lakehouse.errors import EtaError
from lakehouse.training.run_parameters import read_parameters
from tests.support.macros import CompilerError, macros


def macro(name: str, variables: Any) -> Callable[..., Any]:
    """A macro of the project in a run with these `--vars`."""
    held = variables if isinstance(variables, dict) else {}
    return macros(
        "incremental/tenant_id.sql",
        var=lambda key, default=None: held.get(key, default),
        invocation_args_dict={"vars": variables},
    )[name]


@pytest.mark.parametrize(
    "typed",
    [
        *("007", "7", "0x10", "0b1", "1_000", "12:30", "1.5", "1.0e+3", ".inf", ".nan"),
        *("yes", "no", "on", "off", "true", "False", "null", "~", "", "2026-05-01"),
        *("2026-05-01T12:00:00", "[acme]", "{acme: 1}", "!!binary YWNtZQ=="),
        *("'../acme'", "ACME", "\"acme' or '1'='1\"", "''", "a" * 64, '"acme\\n"', "' acme'"),
        *("-acme", "_acme", "acmé", "٣", "'a b'"),
    ],
)
def test_what_is_no_tenant_id_is_refused(typed: str) -> None:
    variables = yaml.safe_load(f"tenant_id: {typed}")
    with pytest.raises(CompilerError, match="tenant_id must be"):
        macro("this_runs_tenant_id", variables)()
    value = False if variables["tenant_id"] is None else variables["tenant_id"]
    with pytest.raises(CompilerError, match="tenant_id must be"):
        macro("checked_tenant_id", {})(value)


@pytest.mark.parametrize("typed", ["acme", "'007'", '"yes"', "1e3", "a-b_c", "a" * 63, "'1'"])
def test_a_text_that_is_one_is_taken_as_it_is(typed: str) -> None:
    variables = yaml.safe_load(f"tenant_id: {typed}")
    assert macro("this_runs_tenant_id", variables)() == variables["tenant_id"]


@pytest.mark.parametrize("variables", [{}, None, {"seed": 1}])
def test_a_run_of_all_tenants_names_none(variables: object) -> None:
    assert macro("this_runs_tenant_id", variables)() is None


@pytest.mark.parametrize("given", [7, 1.5, True, False, 0, ["acme"], {"acme": 1}, b"acme\xff"])
def test_parameters_of_a_run_take_texts_alone(given: object) -> None:
    with pytest.raises(EtaError, match="tenant_id"):
        read_parameters({"tenant_id": given})
