"""What a tenant holds to be good data: the thresholds of the quality gate, with their defaults."""

from typing import Annotated, Self

from pydantic import Field, FiniteFloat, model_validator

from lakehouse.contracts.settings_model import MOST_COUNT, SettingsModel

Bound = Annotated[FiniteFloat, Field(ge=0)]


class Limit(SettingsModel):
    """Two bounds of one figure: beyond `warn` it is told, beyond `fail` nothing is published.

    Null switches that half of the check off. A limit that is given replaces both bounds.
    """

    warn: Bound | None = None
    fail: Bound | None = None


class Most(Limit):
    """The figure may not be above its bounds."""

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        if self.warn is not None and self.fail is not None and self.warn > self.fail:
            raise ValueError("warn must not lie above fail")
        return self


class Least(Limit):
    """The figure may not be below its bounds."""

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        if self.warn is not None and self.fail is not None and self.warn < self.fail:
            raise ValueError("warn must not lie below fail")
        return self


class RatingScale(SettingsModel):
    """The least and the highest rating there can be."""

    least: FiniteFloat = 0.0
    most: FiniteFloat = 5.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least >= self.most:
            raise ValueError("rating_scale: least must lie below most")
        return self


class QualitySettings(SettingsModel):
    """Thresholds of a tenant's checks (docs/quality-gate.md); shares lie between 0 and 1.

    The newest `period_days` of a tenant are compared with its `history_periods` periods before
    them, where two at least are complete and have `minimum_events` interactions on average. An
    event that lies more than `future_after_hours` after its arrival is one from the future. The
    shares of the busiest user and item are those of tenants with `minimum_users` or `minimum_items`
    and `minimum_events`. The fields that are limits have the name of the figure that they bound.
    """

    rating_scale: RatingScale = Field(default_factory=RatingScale)
    future_after_hours: Annotated[int, Field(ge=0, le=8_760)] = 24
    period_days: Annotated[int, Field(ge=1, le=366)] = 7
    history_periods: Annotated[int, Field(ge=2, le=52)] = 4
    minimum_events: Annotated[int, Field(ge=1, le=MOST_COUNT)] = 200
    minimum_users: Annotated[int, Field(ge=1, le=MOST_COUNT)] = 20
    minimum_items: Annotated[int, Field(ge=1, le=MOST_COUNT)] = 20

    age_hours: Most = Most(warn=72)
    future_share: Most = Most(warn=0, fail=0.01)
    off_scale_share: Most = Most(warn=0)
    catalogued_share: Least = Least(warn=0.95, fail=0.5)
    conflict_share: Most = Most(warn=0.01, fail=0.5)
    early_item_share: Most = Most(warn=0.01)
    unpriced_purchase_share: Most = Most(warn=0.01)
    volume_ratio_least: Least = Least(warn=0.5)
    volume_ratio_most: Most = Most(warn=3)
    type_drift: Most = Most(warn=0.2)
    popularity_drift: Most = Most(warn=0.2)
    top_user_share: Most = Most(warn=0.2)
    top_item_share: Most = Most(warn=0.5)
    shortfall_share: Most = Most(warn=0.2)
    explicit_negative_share: Most = Most(warn=0.5)

    def limits(self) -> dict[str, Limit]:
        """Return every limit by its name."""
        fields = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: value for name, value in fields if isinstance(value, Limit)}
