"""How long each kind of data stays, and in how expensive a storage: the one place it is written.

Ages count in days from when the data was written here, not from when an event happened: a history
of ten years that is uploaded today is new data.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from lakehouse.contracts.settings_model import SettingsModel


class DataClass(StrEnum):
    """The kinds of data that a policy is about."""

    RAW_INTERACTIONS = "raw_interactions"
    TRAINING_DATA = "training_data"
    MODEL_ARTIFACTS = "model_artifacts"
    LOGS = "logs"


Days = Annotated[int, Field(ge=1, le=36_500)]


class Tiers(SettingsModel):
    """The ages, in days, at which the hot, the warm and the cold time end, and of the deletion.

    Hot is S3 Standard. From `hot_days` on data is warm and from `warm_days` on cold, which can be
    read in place as well. Nothing that can be read in place is cheaper than cold, so from
    `cold_days` to `delete_days` it stays there.
    """

    hot_days: Days
    warm_days: Days
    cold_days: Days
    delete_days: Days

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.hot_days < self.warm_days < self.cold_days < self.delete_days:
            raise ValueError("hot_days < warm_days < cold_days < delete_days must hold")
        return self


class RawTiers(Tiers):
    """Raw interactions, clickstream events and the quarantine."""

    hot_days: Days = 7
    warm_days: Days = 30
    cold_days: Days = 90
    delete_days: Days = 365


class TrainingTiers(Tiers):
    """The training tables, and the training sets and evaluation snapshots published from them."""

    hot_days: Days = 30
    warm_days: Days = 90
    cold_days: Days = 365
    delete_days: Days = 730


MODEL_ARTIFACTS: Final = Tiers(hot_days=30, warm_days=180, cold_days=365, delete_days=730)
LOGS: Final = Tiers(hot_days=7, warm_days=30, cold_days=90, delete_days=365)


class RetentionPolicy(SettingsModel):
    """What a tenant may decide; model artifacts and logs are not told apart by tenant."""

    raw_interactions: RawTiers = Field(default_factory=RawTiers)
    training_data: TrainingTiers = Field(default_factory=TrainingTiers)

    def tiers(self, data_class: DataClass) -> Tiers:
        """Return the tiers of a kind of data."""
        return {
            DataClass.RAW_INTERACTIONS: self.raw_interactions,
            DataClass.TRAINING_DATA: self.training_data,
            DataClass.MODEL_ARTIFACTS: MODEL_ARTIFACTS,
            DataClass.LOGS: LOGS,
        }[data_class]
