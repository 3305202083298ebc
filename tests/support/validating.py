"""The validator on a few rows."""

from datetime import UTC, datetime

import polars as pl

from lakehouse.contracts.characters import Traits
from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.contracts.validator import Validated, Validator

KNOWN_AT = datetime(2026, 5, 1, 12, 0, 0, 123_456, tzinfo=UTC)


def validated(
    data_type: DataType,
    rows: list[dict[str, str | None]],
    columns: list[str],
    mapping: SourceMapping | None = None,
    tenant: TenantSettings | None = None,
) -> Validated:
    """Return what the validator says of rows, which came at `KNOWN_AT`."""
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String))
    own = tenant or TenantSettings()
    validator = Validator(data_type, mapping or SourceMapping(), own, columns)
    texts = [text or "" for row in rows for text in row.values()]
    return validator.validate(frame, KNOWN_AT, Traits.of(texts))
