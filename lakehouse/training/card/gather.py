"""Gathers what a card says: from the manifest, the pinned rows, and the snapshot before it.

What cannot be read is told with its reason; a card is made of a withdrawn snapshot, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.contracts.tenant import TrainingSetSettings
from lakehouse.errors import EtaError
from lakehouse.storage.data_quality import Score
from lakehouse.storage.lake import Lake
from lakehouse.training.card.counting import TEXT_CHARACTERS, Identifiers
from lakehouse.training.card.coverage import Coverage, read_coverage
from lakehouse.training.card.drift import feature_drift
from lakehouse.training.card.figures import Figures, read_figures
from lakehouse.training.card.meanings import Meaning, column_meanings
from lakehouse.training.card.sampling import SamplingProof, prove_sampling
from lakehouse.training.manifest import EXAMPLES, Manifest
from lakehouse.training.publish import list_snapshots


@dataclass(frozen=True, slots=True)
class Drift:
    """What changed since the snapshot before: an index per feature, and numbers that came or went.

    `gone` are features that only the earlier snapshot has.
    """

    since: str
    indexes: Mapping[str, float | None]
    gone: Sequence[str]
    new_items: int
    lost_items: int
    new_users: int
    lost_users: int


@dataclass(frozen=True, slots=True)
class Stated:
    """What stands beside a snapshot: the tenant's words, and how good its data was.

    `words` are None where the settings could not be read, which `why` says; `scores` are empty
    where none is known.
    """

    words: TrainingSetSettings | None = None
    why: str = "not asked for"
    scores: Sequence[Score] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that a card says. What is None could not be read: `unread` has why, by part."""

    manifest: Manifest
    stated: Stated
    meanings: Mapping[str, Meaning]
    figures: Figures | None = None
    coverage: Coverage | None = None
    items: Identifiers | None = None
    proof: SamplingProof | None = None
    drift: Drift | None = None
    unread: Mapping[str, str] = field(default_factory=dict)

    def is_identifier(self, texts: Sequence[str]) -> list[bool]:
        """Return of each text whether a user or an item of the snapshot is called so.

        Blanks around it make no other name of it. True where it cannot be known: texts are counted
        by their first characters.
        """
        if self.figures is None or self.items is None:
            return [True] * len(texts)
        known = (self.figures.users, self.figures.items, self.items)
        names = [*texts, *(text.strip() for text in texts)]
        hits = [any(one) for one in zip(*(ids.are_in(names) for ids in known), strict=True)]
        return [
            plain or stripped or len(text) >= TEXT_CHARACTERS
            for text, plain, stripped in zip(
                texts, hits[: len(texts)], hits[len(texts) :], strict=True
            )
        ]


def gather(lake: Lake, project: Path, manifest: Manifest, stated: Stated) -> Contents:
    """Read the rows of a snapshot, and of the one before it, once each.

    Never raises for rows that are gone: that is told in the card.
    """
    meanings = column_meanings(project)
    unread: dict[str, str] = {}
    try:
        figures = read_figures(lake, manifest)
        coverage, items = read_coverage(lake, manifest, figures)
        proof = prove_sampling(lake, manifest)
    except EtaError as error:
        unread["rows"] = f"{error.message}; {error.remedy}"
        return Contents(manifest, stated, meanings, unread=unread)
    drift = None
    earlier = _previous(lake, manifest)
    if earlier is None:
        unread["drift"] = "there is no earlier snapshot of this tenant"
    else:
        try:
            drift = _drift(earlier, read_figures(lake, earlier), figures)
        except EtaError as error:
            unread["drift"] = error.message
    return Contents(
        manifest, stated, meanings, figures, coverage, items, proof, drift, unread=unread
    )


def _previous(lake: Lake, manifest: Manifest) -> Manifest | None:
    earlier = [
        found
        for found in list_snapshots(lake, manifest.tenant_id)
        if found.snapshot_id < manifest.snapshot_id
    ]
    return earlier[-1] if earlier else None


def _drift(earlier: Manifest, before: Figures, after: Figures) -> Drift:
    return Drift(
        since=earlier.snapshot_id,
        indexes={
            name: feature_drift(before.features[name], counts) if name in before.features else None
            for name, counts in after.features.items()
        },
        gone=sorted(before.features.keys() - after.features.keys())
        if EXAMPLES in earlier.pinned
        else (),
        new_items=after.items.without(before.items),
        lost_items=before.items.without(after.items),
        new_users=after.users.without(before.users),
        lost_users=before.users.without(after.users),
    )
