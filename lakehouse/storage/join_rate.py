"""How many interactions are of an item that their tenant's catalogue has, as the models counted."""

from __future__ import annotations

from typing import Final

import pyarrow.compute as pc

from lakehouse.storage.lake import Lake

JOIN_RATES: Final = "ops/join_rates"


def read_join_rate(lake: Lake) -> float | None:
    """Return joined interactions divided by all of them, over every tenant; None before any.

    As of the newest run of the models; reads a table of one row per tenant.
    """
    if (table := lake.find(JOIN_RATES)) is None:
        return None
    rows = table.to_pyarrow_table(columns=["interaction_count", "joined_count"])
    interactions = pc.sum(rows["interaction_count"]).as_py()
    return pc.sum(rows["joined_count"]).as_py() / interactions if interactions else None
