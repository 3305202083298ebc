"""The steps that `benchmarks.faults` makes fail are there."""

import importlib

import pytest

from benchmarks.faults.server import STEPS


@pytest.mark.parametrize("step", STEPS)
def test_a_step_exists(step: str) -> None:
    module, _, path = step.partition(":")
    found = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    assert callable(found)
