"""How a tenant's sampled negatives are drawn (docs/negative-sampling.md)."""

import math
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from lakehouse.contracts.settings_model import SettingsModel

SHARE_STEPS: Final = 10_000
"""The models read shares of the positives in ten-thousandths."""
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class NegativeShares(SettingsModel):
    """The shares of the positives whose negatives are drawn in each way; together 1.

    `uniform`: all eligible items alike. `popularity`: in proportion to their popularity to the
    power of `popularity_exponent`. `category`: alike among those of the positive item's category.
    They count in steps of a ten-thousandth. Negatives that were shown come besides, as many as
    `clickstream.impressions.negatives_per_positive` says.
    """

    uniform: Share = 0
    popularity: Share = 0
    category: Share = 0

    @model_validator(mode="after")
    def _is_all(self) -> Self:
        total = self.uniform + self.popularity + self.category
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(
                "uniform, popularity and category are shares of the positives and make 1 "
                f"together, not {total:g}; a share left out is 0"
            )
        return self


class NegativeSettings(SettingsModel):
    """How sampled negatives are drawn; without it, uniformly.

    `popularity_exponent`, α: 0 makes all items alike, 1 draws in proportion to popularity.
    `popularity_days`: for so many days popularity and categories stay what they were before the
    first of them (UTC); 1: what they were before the positive's day.
    """

    shares: NegativeShares = Field(default_factory=lambda: NegativeShares(uniform=1))
    popularity_exponent: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.75
    popularity_days: Annotated[int, Field(ge=1, le=366)] = 1

    def check_effect(self) -> None:
        """Raise `ValueError` for a share that the models would read as none."""
        for name, share in self.shares.model_dump().items():
            if share and not round(share * SHARE_STEPS):
                raise ValueError(
                    f"negatives.shares.{name}: shares count in steps of 0.0001, and this one is "
                    "less than half of it; leave it out, or give it more"
                )
