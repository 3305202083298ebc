"""What visitors do: views that turn into clicks, likes, dislikes and purchases."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from lakehouse.contracts.tenant import InteractionType
from lakehouse.demo import words
from lakehouse.demo.catalogue import Catalogue, Ints
from lakehouse.demo.choice import choose_articles, choose_products
from lakehouse.demo.sessions import Sessions, make_sessions, random_ids
from lakehouse.demo.tenants import SECOND, Business, DemoTenant

_STEPS: Final = (
    InteractionType.VIEW,
    InteractionType.CLICK,
    InteractionType.LIKE,
    InteractionType.DISLIKE,
    InteractionType.PURCHASE,
)
"""The order of what may happen to one item in a session."""

_MEAN_VIEWS: Final = 3.2
_MEDIAN_GAP_SECONDS: Final = 18.0
_LONGEST_GAP_SECONDS: Final = 600.0
_RATED_SHARE: Final = 0.35
_RATING_SHARES: Final = (0.05, 0.06, 0.14, 0.33, 0.42)


@dataclass(frozen=True, slots=True)
class Funnel:
    """Chances that a view is followed by a click, and a click by the rest."""

    click: float
    like: float
    dislike: float
    purchase: float

    @property
    def events_per_view(self) -> float:
        """Expected rows that one view gives, itself included."""
        return 1 + self.dislike + self.click * (1 + self.like + self.purchase)


_FUNNELS: Final = {
    Business.SHOP: Funnel(click=0.42, like=0.08, dislike=0.012, purchase=0.16),
    Business.NEWS: Funnel(click=0.55, like=0.07, dislike=0.015, purchase=0.0),
}


def make_interactions(
    tenant: DemoTenant, catalogue: Catalogue, rng: np.random.Generator
) -> pl.DataFrame:
    """Generate exactly `interaction_count` rows in the order of time.

    Every click, like, dislike and purchase follows a view of the same visitor and item, and no
    event is older than its item. More is drawn than needed and the newest rows are cut off, which
    keeps both properties.
    """
    funnel = _FUNNELS[tenant.business]
    wanted = tenant.interaction_count + 9 * tenant.interaction_count**0.5 + 50  # 4.6 sigma
    count = int(wanted / (_MEAN_VIEWS * funnel.events_per_view)) + 1
    sessions = make_sessions(tenant, count, rng)
    session = np.repeat(np.arange(count), rng.geometric(1 / _MEAN_VIEWS, count))
    item = _choose_items(tenant, catalogue, sessions, session, rng)
    happens = _steps(funnel, len(session), rng)
    view, step = np.nonzero(happens)  # row by row: within a view in the order of `_STEPS`
    frame = _rows(sessions, session[view], catalogue, item[view], step, rng)
    return _finish(frame, tenant, rng)


def _choose_items(
    tenant: DemoTenant,
    catalogue: Catalogue,
    sessions: Sessions,
    session: Ints,
    rng: np.random.Generator,
) -> Ints:
    seen_at = sessions.started_at[session]
    if tenant.business is Business.NEWS:
        return choose_articles(catalogue, seen_at, rng)
    favourite = rng.integers(0, int(catalogue.category.max()) + 1, tenant.user_count)
    return choose_products(catalogue, seen_at, favourite[sessions.user[session]], rng)


def _steps(funnel: Funnel, views: int, rng: np.random.Generator) -> np.ndarray[tuple[int, int]]:
    chance = rng.random((views, len(_STEPS)))
    is_clicked = chance[:, 1] < funnel.click
    is_liked = is_clicked & (chance[:, 2] < funnel.like)
    is_disliked = ~is_liked & (chance[:, 3] < funnel.dislike)
    is_bought = is_clicked & ~is_disliked & (chance[:, 4] < funnel.purchase)
    return np.stack([np.ones(views, bool), is_clicked, is_liked, is_disliked, is_bought], axis=1)


def _rows(
    sessions: Sessions,
    session: Ints,
    catalogue: Catalogue,
    item: Ints,
    step: Ints,
    rng: np.random.Generator,
) -> pl.DataFrame:
    types = pl.Series([str(kind) for kind in _STEPS], dtype=pl.String)
    return pl.DataFrame(
        {
            "user_id": _labels("u", sessions.user[session]),
            "item_id": pl.Series(catalogue.item_ids).gather(item),
            "interaction_type": types.gather(step),
            "timestamp": sessions.started_at[session] + _elapsed(session, rng),
            "rating": _ratings(step, rng),
            "device_type": _optional(words.DEVICES, sessions.device[session]),
            "location": _optional(words.LOCATIONS, sessions.location[session]),
            "session_id": pl.Series(sessions.session_ids).gather(session),
        }
    )


def _elapsed(session: Ints, rng: np.random.Generator) -> Ints:
    """Return milliseconds since the session's start, growing within each session."""
    seconds = rng.lognormal(np.log(_MEDIAN_GAP_SECONDS), 1.0, len(session))
    gaps = (np.clip(seconds, 1, _LONGEST_GAP_SECONDS) * SECOND).astype(np.int64)
    running = np.cumsum(gaps)
    is_first = np.concatenate([[True], session[1:] != session[:-1]])
    start = np.maximum.accumulate(np.where(is_first, running, 0))
    return np.asarray(running - start)


def _ratings(step: Ints, rng: np.random.Generator) -> pl.Series:
    stars = 1.0 + rng.choice(len(_RATING_SHARES), len(step), p=_RATING_SHARES)
    is_rated = (step == len(_STEPS) - 1) & (rng.random(len(step)) < _RATED_SHARE)
    return pl.Series(np.where(is_rated, stars, np.nan)).fill_nan(None)


def _labels(prefix: str, number: Ints) -> pl.Series:
    digits = pl.Series(number + 1).cast(pl.String).str.zfill(6)
    return prefix + digits


def _optional(values: tuple[str, ...], position: Ints) -> pl.Series:
    vocabulary = pl.Series([*values, None], dtype=pl.String)
    return vocabulary.gather(np.where(position < 0, len(values), position))


def _finish(frame: pl.DataFrame, tenant: DemoTenant, rng: np.random.Generator) -> pl.DataFrame:
    ordered = frame.sort("timestamp", maintain_order=True).head(tenant.interaction_count)
    if not tenant.has_event_ids:
        return ordered
    ids = pl.Series("event_id", random_ids(len(ordered), rng))
    return ordered.insert_column(0, ids)
