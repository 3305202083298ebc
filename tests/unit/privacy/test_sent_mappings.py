"""Rejected rows that were read with a mapping of their own name the people that it says."""

import pytest

from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.privacy.readers import Readers

SENT = SourceMapping(columns={"user_id": "Kunde"})


@pytest.mark.parametrize(
    ("layout", "raw"),
    [
        pytest.param(
            SourceLayout(columns=("Kunde", "Artikel"), mapping_settings=SENT),
            b"anne,a1\n",
            id="CSV",
        ),
        pytest.param(
            SourceLayout(format="json", columns=("Kunde",), mapping_settings=SENT),
            b'{"Kunde": "anne"}',
            id="JSON",
        ),
    ],
)
def test_a_row_names_a_person_by_the_mapping_that_came_with_it(
    layout: SourceLayout, raw: bytes
) -> None:
    again = SourceLayout.from_text(layout.to_text())
    assert again == layout
    reader = Readers(TenantSettings()).of(DataType.INTERACTIONS, again)
    assert reader.named(raw).is_of({"anne"}.__contains__, set[str]().__contains__)
    assert not reader.named(raw).is_of({"a1"}.__contains__, set[str]().__contains__)
