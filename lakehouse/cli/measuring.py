"""Measures quality at the end of a command that did something else."""

from datetime import UTC, datetime
from secrets import token_hex

from lakehouse.cli.output import note
from lakehouse.errors import EtaError
from lakehouse.quality.refresh import refresh
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake


def measure_quality(settings: LakeSettings, run_id: str | None = None) -> None:
    """Append what is new to `ops.data_quality`; what goes wrong is told and fails nothing.

    Costs as much as came since the last time.
    """
    try:
        refresh(Lake(settings), run_id or measurement_id())
    except Exception as error:  # noqa: BLE001 - the command has done its work
        # only our own words: another library's may quote data
        reason = error.message if isinstance(error, EtaError) else type(error).__qualname__
        note(f"Quality was not measured ({reason}). To do it now: eta quality refresh")


def measurement_id() -> str:
    """Return an id for a measurement that belongs to no run."""
    return f"eta quality {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {token_hex(3)}"
