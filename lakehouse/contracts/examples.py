"""What a tenant's training examples say beside the features that every tenant has.

Its zone, for hours and weekdays, and attributes of its items and users by the path at which they
stand in what it sends as `attributes`.
"""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from lakehouse.contracts.clickstream import PATHS, plain_paths
from lakehouse.contracts.event_types import NAME_PATTERN
from lakehouse.contracts.settings_model import SettingsModel
from lakehouse.contracts.source_mapping import check_zone

MOST_ATTRIBUTES: Final = 20
UTC: Final = "UTC"


def _check_name(name: str) -> str:
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise ValueError(
            "an attribute has a name of 1 to 40 lower-case letters, digits and '_', a letter first"
        )
    return name


def _check_path(text: str) -> str:
    """Return the path as it is read; raise `ValueError` for one that is none."""
    path = plain_paths(text)
    if re.fullmatch(PATHS, path) is None or "$" in path or "*" in path:
        raise ValueError(
            f"{text!r} is no path: it has the names of the fields within `attributes`, with dots "
            "between them (`offer.price`), and `|` before the one that is read where nothing is "
            "found; places in lists and wildcards have none"
        )
    return path


AttributeName = Annotated[str, AfterValidator(_check_name)]
AttributePath = Annotated[str, Field(max_length=500), AfterValidator(_check_path)]
Attributes = Annotated[dict[AttributeName, AttributePath], Field(max_length=MOST_ATTRIBUTES)]
"""Name in the examples → where the value stands in the JSON object `attributes`."""


class ExampleSettings(SettingsModel):
    """What training examples say beside the features of every tenant (docs/training-sets.md).

    `time_zone` (an IANA name): whose hours and weekdays they have. `item_attributes` and
    `user_attributes`: name → path, such as `brand: brand` or `price: offer.price`, for the columns
    `item_texts` and `item_numbers`, `user_texts` and `user_numbers`.
    """

    time_zone: str = UTC
    item_attributes: Attributes = Field(default_factory=dict)
    user_attributes: Attributes = Field(default_factory=dict)

    @model_validator(mode="after")
    def _zone_is_known(self) -> Self:
        check_zone(self.time_zone)
        return self
