"""Makes sure that nothing read under an older suppression list can be stored any more.

A writer asks for its tenant's list before it reads rows and again before it commits them, on the
table as it then stands. Between that question and the commit a request could come in. So an
erasure, once its subjects are on the list, changes a property of each table: Delta lets no
append through that was begun before a change of the table's metadata, and the writer, which has to
look at the table anew, asks the list anew.
"""

from __future__ import annotations

from secrets import token_hex
from typing import Final

from deltalake.exceptions import CommitFailedError

from lakehouse.contracts.tables import (
    OPS_REPLAY_OUTCOMES,
    RAW_QUARANTINE,
    RAW_TABLES,
    TableSpec,
)
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.waiting import retry_times

PROPERTY: Final = "eta.suppression"
FENCED: Final[tuple[TableSpec, ...]] = (*RAW_TABLES.values(), RAW_QUARANTINE, OPS_REPLAY_OUTCOMES)
"""The tables that hold rows of people, or refer to them."""
TRIES: Final = 20


def raise_fence(lake: Lake) -> None:
    """Let no commit through whose writer asked for the suppression lists before this was called.

    Safe to repeat. Raises `EtaError` when other writers are always faster.
    """
    for spec in FENCED:
        _mark(lake, spec)


def _mark(lake: Lake, spec: TableSpec) -> None:
    def mark() -> None:
        lake.table(spec).alter.set_table_properties(
            {PROPERTY: token_hex(8)}, raise_if_not_exists=False
        )

    failed = EtaError(
        f"{spec.full_name} could not be marked: other writers were always faster",
        remedy="nothing is lost; the next `eta privacy work` tries again",
    )
    retry_times(mark, CommitFailedError, TRIES, failed=failed)
