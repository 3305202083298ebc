"""Files of ratings in the layouts of MovieLens, and made-up ones of the size of MovieLens 1M."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

TENANT: Final = "movies"
_RATINGS: Final = {str(rating): "like" for rating in range(1, 6)}
"""Every rating is a positive, as in the protocol of NCF."""
_RANGE: Final = {"start": "1990-01-01T00:00:00Z", "end": "2030-01-01T00:00:00Z"}
_COMMON: Final = {
    "values": {"interaction_type": _RATINGS},
    "timestamps": {"timestamp": {"unit": "s"}},
}
_HEADLESS: Final = {
    **_COMMON,
    "header": "none",
    "names": ["user_id", "item_id", "rating", "timestamp"],
    "columns": {"interaction_type": "rating"},
}
_RECBOLE: Final = {
    **_COMMON,
    "delimiter": "\t",
    "columns": {
        "user_id": "user_id:token",
        "item_id": "item_id:token",
        "rating": "rating:float",
        "interaction_type": "rating:float",
        "timestamp": "timestamp:float",
    },
}
_FACTORS: Final = 12
_POPULARITY: Final = 1.35
_TASTE: Final = 1.7
_TIED_SHARE: Final = 0.5
"""Share of ratings given in the same second as the one before: MovieLens shows pages of films."""


def settings_of(file: Path) -> Mapping[str, Any]:
    """Return the settings of a tenant that sends this file, by how its first line looks."""
    with file.open(encoding="latin-1") as lines:
        first = lines.readline()
    if "::" in first:
        source: Mapping[str, Any] = {**_HEADLESS, "delimiter": "::"}
    elif first.startswith("user_id:token"):
        source = _RECBOLE
    else:
        source = {**_HEADLESS, "delimiter": "\t"}
    return {"time_range": _RANGE, "sources": {"default": source}}


def write_made_up(
    file: Path, *, users: int = 6_040, items: int = 3_706, ratings: int = 1_000_209, seed: int = 1
) -> None:
    """Write `ratings.dat` of people with tastes; what a model finds in it, we have put there.

    Each user takes as many items as a lognormal draw says (20 at least), without repeating one, in
    proportion to exp(popularity + taste): popularity is normal, taste the product of two vectors
    with 12 factors, of which those of a genre's items lie together. Orders are random.
    """
    random = np.random.default_rng(seed)
    activity = random.lognormal(4.55, 0.95, users)
    counts = np.maximum(20, activity * ratings / activity.sum()).astype(int).clip(max=items // 2)
    genres = random.normal(0, 1, (18, _FACTORS))
    films = genres[random.integers(0, 18, items)] + random.normal(0, 0.7, (items, _FACTORS))
    people = random.normal(0, 1, (users, _FACTORS))
    popularity = random.normal(0, _POPULARITY, items)
    with file.open("w", encoding="ascii") as out:
        for user in range(users):
            taste = films @ people[user] * _TASTE / np.sqrt(_FACTORS)
            drawn = popularity + taste + random.gumbel(size=items)
            taken = random.permutation(np.argpartition(-drawn, counts[user])[: counts[user]])
            gaps = random.exponential(40, taken.size) * (random.random(taken.size) > _TIED_SHARE)
            times = 956_703_932 + random.integers(0, 60_000_000) + gaps.cumsum().astype(int)
            marks = random.integers(1, 6, taken.size)
            out.writelines(
                f"{user + 1}::{item + 1}::{mark}::{time}\n"
                for item, mark, time in zip(taken, marks, times, strict=True)
            )
