"""How a tenant's negatives are drawn: how many of each positive's by which strategy."""

from typing import Annotated, Final

from pydantic import Field

from lakehouse.contracts.settings_model import SettingsModel

DEFAULT_NEGATIVES_PER_POSITIVE: Final = 4
"""Of tenants that say nothing, as the variable `negatives_per_positive` of `dbt_project.yml`."""
MOST_NEGATIVES: Final = 1_000

Share = Annotated[int, Field(ge=0, le=MOST_NEGATIVES)]


class SamplingShares(SettingsModel):
    """How many of a positive's negatives each strategy draws (docs/negative-sampling.md)."""

    uniform: Share = 0
    popularity: Share = 0
    category: Share = 0

    @property
    def total(self) -> int:
        """Negatives per positive."""
        return self.uniform + self.popularity + self.category

    @property
    def is_uniform(self) -> bool:
        """Whether every negative is drawn uniformly, as without shares."""
        return self.uniform == self.total


class NegativeSamplingSettings(SettingsModel):
    """How negatives are drawn (docs/negative-sampling.md); without `shares` all uniformly.

    `shares` add up to `negatives_per_positive`. `popularity` draws in proportion to
    (1 + popularity) ** `popularity_alpha`: 1 follows the popularity, 0 is uniform.
    """

    shares: SamplingShares | None = None
    popularity_alpha: Annotated[float, Field(ge=0, le=1)] = 0.75

    def check(self, negatives_per_positive: int | None) -> None:
        """Raise `ValueError` if the shares are of another number of negatives than the tenant's."""
        wanted = negatives_per_positive
        if wanted is None:
            wanted = DEFAULT_NEGATIVES_PER_POSITIVE
        if self.shares is not None and self.shares.total != wanted:
            raise ValueError(
                f"negative_sampling.shares: they add up to {self.shares.total}, but "
                f"negatives_per_positive is {wanted}; change one of the two"
            )
