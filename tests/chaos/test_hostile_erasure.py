"""Half of a tenant's hostile people are erased, and somebody from outside looks.

`python -m benchmarks.erasure.hostile` is the same with 500 people, Kafka and the models.
"""

from pathlib import Path

import pytest

from benchmarks.erasure.hostile.breaking import is_caught
from benchmarks.erasure.hostile.broken import BREAKS
from benchmarks.erasure.hostile.trial import Options, Outcome, try_it


def test_nobody_erased_is_left_or_comes_back_and_everybody_else_is_unchanged(
    tmp_path: Path,
) -> None:
    outcome = try_it(Options(count=45, with_kafka=False), tmp_path / "trial")
    assert outcome.wrong == {}
    assert outcome.places_before > outcome.erased > 15
    assert outcome.requests.pop("nobody") == "nothing_found"
    assert set(outcome.requests.values()) == {"completed"}
    assert "a header alone" in outcome.refused


@pytest.mark.parametrize("name", BREAKS)
def test_what_a_break_replaces_is_there(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ETA_HOME", str(tmp_path))
    with BREAKS[name].breaking():
        pass


def test_a_break_is_caught_where_it_is_guarded_alone() -> None:
    found = {"erased_people": {"count": 1, "places": {"exports/acme/acme.inter": 1}, "first": []}}
    outcome = Outcome(1, 1, wrong=found)
    assert [name for name in BREAKS if is_caught(name, outcome)] == ["recbole"]
