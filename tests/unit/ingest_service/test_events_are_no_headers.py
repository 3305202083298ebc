"""An event names its own fields: one whose user is called as a column is, is wrong alone."""

from datetime import UTC, datetime

import polars as pl
import pytest

from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.contracts.validator import Validator

COLUMNS = ("user_id", "item_id", "interaction_type", "timestamp")
ROWS = pl.DataFrame(
    {
        "user_id": ["u1", "item_id"],
        "item_id": ["i1", "i2"],
        "interaction_type": ["click", "nonsense"],
        "timestamp": ["2026-01-01T00:00:00Z", "nonsense"],
    }
)


@pytest.mark.parametrize(("titles", "second"), [(None, None), ((), 1)])
def test_a_user_called_as_a_column(titles: tuple[()] | None, second: int | None) -> None:
    validator = Validator(
        DataType.INTERACTIONS, SourceMapping(), TenantSettings(), COLUMNS, titles=titles
    )
    found = validator.validate(ROWS, datetime(2026, 1, 2, tzinfo=UTC))
    assert found.second_header == second
    if titles is None:
        assert set(found.reasons["column"]) == {"interaction_type", "timestamp"}
