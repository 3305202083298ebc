"""What the gate puts into its statements in place of `:names`."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from lakehouse.errors import EtaError
from lakehouse.quality.figures import bind


def test_values_become_literals() -> None:
    moment = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    statement = "select :flag, :k, :share, :types, :since, cast('1' as int)::string, a.b:c"
    given = {"flag": True, "k": 4, "share": 0.5, "types": ["view", "like"], "since": moment, "c": 1}
    found = bind(statement, given)
    assert found == (
        "select true, 4, 0.5d, array('view', 'like'), timestamp '2026-05-01T10:00:00.000000Z', "
        "cast('1' as int)::string, a.b:c"
    )


@pytest.mark.parametrize("text", ["a'; drop table x; --", "\\", "line\nbreak", "`", "é"])
def test_a_text_that_could_end_a_literal_is_refused(text: str) -> None:
    with pytest.raises(EtaError, match="parameter tenants") as error:
        bind("select :tenants", {"tenants": ["acme", text]})
    assert text not in error.value.message


def test_every_statement_of_the_gate_can_be_bound() -> None:
    from lakehouse.quality.figures import LAYERS, Scope, _parameters
    from tests.conftest import PROJECT_DIR

    built = {"cutoff": None, "positive_types": ["view"], "negatives_per_positive": 4}
    parameters = _parameters(Scope(("acme",), {}, built, datetime(2026, 5, 1, tzinfo=UTC)))
    for layer in LAYERS:
        statement = (PROJECT_DIR / "soda_checks" / layer / "figures.sql").read_text()
        assert ":tenants" not in bind(statement, parameters)
    assert parameters["earliest"].tzinfo is UTC
