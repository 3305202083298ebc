"""Measures the quality of the tenants' data: `ops.data_quality`."""

from collections.abc import Callable
from datetime import UTC, datetime
from secrets import token_hex

import polars as pl

from lakehouse.errors import EtaError
from lakehouse.quality.refresh import refresh
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables


def measure(
    settings: LakeSettings, run_id: str | None = None, *, tenant_id: str | None = None
) -> pl.DataFrame:
    """Append what is new to `ops.data_quality` and return it; costs as much as came since.

    As a part of the run `run_id`, else of the scheduler's, else of none.
    """
    lake = Lake(settings)
    ensure_tables(lake)
    own = f"eta quality {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {token_hex(3)}"
    return refresh(lake, run_id or settings.run_id or own, tenant_id=tenant_id)


def measure_afterwards(
    settings: LakeSettings, run_id: str | None = None, *, on_step: Callable[[str], None]
) -> None:
    """Measure at the end of a job that did something else: what goes wrong fails nothing."""
    try:
        measure(settings, run_id)
    except Exception as error:  # noqa: BLE001 - the job has done its work
        # only our own words: another library's may quote data
        reason = error.message if isinstance(error, EtaError) else type(error).__qualname__
        on_step(f"Quality was not measured ({reason}). To do it now: eta quality refresh")
