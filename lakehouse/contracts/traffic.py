"""What is conspicuous in a tenant's traffic, and what of it is left out of training."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lakehouse.contracts.settings_model import MOST_COUNT, IsList, SettingsModel


class TrafficFlag(StrEnum):
    """What interactions may be flagged for; the models compute it (docs/traffic.md)."""

    RATE = "rate"
    UNIFORMITY = "uniformity"
    AGENT = "agent"


class TrafficSettings(SettingsModel):
    """From where on interactions are flagged, and which flags take labels away (docs/traffic.md).

    `rate`: more than `rate_per_hour` interactions of the user within an hour. `uniformity`: the
    newest 20 intervals vary by less than `interval_variation` of their mean. `agent`: the device
    names a crawler or a script. A threshold left out is that of the variable `traffic` in
    `dbt_project.yml`. A user's interactions of a day with a flag that is in `leave_out`
    make no training row; nothing is refused or deleted.
    """

    leave_out: Annotated[frozenset[TrafficFlag] | None, IsList] = None
    rate_per_hour: Annotated[int, Field(ge=1, le=MOST_COUNT)] | None = None
    interval_variation: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None

    def check_effect(self) -> None:
        """Raise `ValueError` where days are left out for a flag that nobody would get."""
        if TrafficFlag.UNIFORMITY in (self.leave_out or ()) and self.interval_variation == 0:
            raise ValueError(
                "traffic.leave_out: with `interval_variation: 0` nobody is flagged for uniformity; "
                "take uniformity out of leave_out, or give another interval_variation"
            )
