"""Visitors and their sessions: a few visitors come often, most come once or twice."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lakehouse.demo import words
from lakehouse.demo.catalogue import Ints
from lakehouse.demo.tenants import DAYS, HOUR, START, DemoTenant

ACTIVITY_SHAPE: Final = 1.6
"""Shape of the Pareto law of visits per visitor: heavy-tailed, with a finite mean."""
ACTIVITY_LIMIT: Final = 40.0
"""Keeps one visitor of a small tenant from making a tenth of its events."""

_DEVICE_SHARES: Final = (0.58, 0.34, 0.08)
_NO_DEVICE_SHARE: Final = 0.03
_NO_LOCATION_SHARE: Final = 0.06
_EVENING_HOUR: Final = 20


@dataclass(frozen=True, slots=True)
class Sessions:
    """One entry per session; `device` and `location` are positions in `words`, -1 for unknown."""

    session_ids: NDArray[np.str_]
    user: Ints
    started_at: Ints
    device: Ints
    location: Ints


def make_sessions(tenant: DemoTenant, count: int, rng: np.random.Generator) -> Sessions:
    """Generate `count` sessions over the history, in the order of their start."""
    users = tenant.user_count
    activity = np.cumsum(np.minimum(rng.pareto(ACTIVITY_SHAPE, users), ACTIVITY_LIMIT) + 0.2)
    user = np.searchsorted(activity, rng.random(count) * activity[-1], side="right")
    own_device = rng.choice(len(words.DEVICES), users, p=_DEVICE_SHARES)
    home = rng.integers(0, len(words.LOCATIONS), users)
    other_device = rng.choice(len(words.DEVICES), count, p=_DEVICE_SHARES)
    device = np.where(rng.random(count) < 0.85, own_device[user], other_device)
    device[rng.random(count) < _NO_DEVICE_SHARE] = -1
    location = home[user]
    location[rng.random(count) < _NO_LOCATION_SHARE] = -1
    return Sessions(
        random_ids(count, rng),
        user.astype(np.int64),
        np.sort(_starts(count, rng)),
        device.astype(np.int64),
        location.astype(np.int64),
    )


def random_ids(count: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """Return 64-bit identifiers in hex."""
    text = rng.bytes(8 * count).hex()
    return np.array([text[i : i + 16] for i in range(0, len(text), 16)], dtype=np.str_)


def _starts(count: int, rng: np.random.Generator) -> Ints:
    """Draw starts by hour: evenings and weekends are busier, and the audience grows slowly."""
    hour = np.arange(DAYS * 24 - 6)  # the last session ends inside the history
    by_day = 1 + 0.85 * np.cos((hour % 24 - _EVENING_HOUR) * 2 * np.pi / 24)
    by_week = np.where(hour // 24 % 7 < 1, 1.3, 1.0) * np.where(hour // 24 % 7 > 5, 1.25, 1.0)
    total = np.cumsum(by_day * by_week * (1 + hour / len(hour)))
    drawn = np.searchsorted(total, rng.random(count) * total[-1], side="right")
    return np.asarray(START + drawn * HOUR + rng.integers(0, HOUR, count), dtype=np.int64)
