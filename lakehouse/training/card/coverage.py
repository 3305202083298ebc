"""How much of the catalogue and of the users' past a snapshot has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from lakehouse.storage.lake import Lake
from lakehouse.training.card.counting import Identifiers
from lakehouse.training.card.figures import Figures
from lakehouse.training.manifest import AVAILABILITY, CATALOGUE, HISTORIES, Manifest
from lakehouse.training.rows import tenant_batches
from lakehouse.training.sample_weights import weighted_until

_LIST: Final = "event_times"


@dataclass(frozen=True, slots=True)
class Coverage:
    """Numbers of items, users and labelled moments.

    `items` may be drawn, `catalogued` have a catalogue row by the cutoff. `used` and `positive`
    occur in the rows, and as a positive. Of `moments`, those of labelled interactions,
    `first_moments` have no interaction of their user before; `users_with_history` have any. The
    last three are None where the snapshot pins no histories.
    """

    items: int
    used: int
    positive: int
    catalogued: int
    catalogued_used: int
    moments: int | None
    first_moments: int | None
    users_with_history: int | None


def read_coverage(lake: Lake, manifest: Manifest, figures: Figures) -> tuple[Coverage, Identifiers]:
    """Return the coverage, and the items that may be drawn.

    Raises `EtaError` when the pinned tables are gone.
    """
    available, catalogue = Identifiers(), Identifiers()
    for frame in tenant_batches(lake, manifest, AVAILABILITY, ["item_id"]):
        available.update(frame.get_column("item_id"))
    is_cut = manifest.parameters.cutoff is not None
    for frame in tenant_batches(lake, manifest, CATALOGUE, ["item_id", "known_at"]):
        known = frame.filter(pl.col("known_at") <= weighted_until(manifest)) if is_cut else frame
        catalogue.update(known.get_column("item_id"))
    moments, first_moments, users = _histories(lake, manifest)
    found = Coverage(
        items=len(available),
        used=len(available) - available.without(figures.items),
        positive=len(available) - available.without(figures.positive_items),
        catalogued=len(catalogue),
        catalogued_used=len(catalogue) - catalogue.without(figures.items),
        moments=moments,
        first_moments=first_moments,
        users_with_history=users,
    )
    return found, available


def _histories(lake: Lake, manifest: Manifest) -> tuple[int, int, int] | tuple[None, None, None]:
    if HISTORIES not in manifest.pinned:
        return None, None, None
    users, moments, first_moments = Identifiers(), 0, 0
    for frame in tenant_batches(lake, manifest, HISTORIES, ["user_id", _LIST]):
        with_past = frame.filter(pl.col(_LIST).list.len() > 0)
        moments += frame.height
        first_moments += frame.height - with_past.height
        users.update(with_past.get_column("user_id"))
    return moments, first_moments, len(users)
