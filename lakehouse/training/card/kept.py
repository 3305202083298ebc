"""Cards that are kept in the lake, beside the manifest of their snapshot, and go with it.

A card is no part of the snapshot: neither manifest nor hash knows of it.
"""

from __future__ import annotations

from typing import Final

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.card.blocks import Card
from lakehouse.training.card.document import card_document, read_card
from lakehouse.training.manifest import Manifest
from lakehouse.training.snapshots import snapshots_of

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a card that is kept: its answer is made in memory."""


def keep_card(lake: Lake, manifest: Manifest, card: Card) -> bool:
    """Keep the card of a snapshot, in place of an earlier one; return whether it is kept.

    It is not when it is too large, or the snapshot was withdrawn or expired while it was made.
    """
    document = card_document(card)
    if len(document) > MOST_BYTES or manifest.withdrawn_at is not None:
        return False
    snapshots_of(manifest).write_card(lake, manifest, document)
    try:
        held = snapshots_of(manifest).read(lake, manifest.tenant_id, manifest.snapshot_id)
    except EtaError:
        held = None
    if held is None or held.withdrawn_at is not None:
        snapshots_of(manifest).delete_card(lake, manifest)
        return False
    return True


def kept_card(lake: Lake, manifest: Manifest) -> Card | None:
    """Return the card that is kept of a snapshot; None without one, or one that can be read."""
    document = snapshots_of(manifest).read_card(lake, manifest)
    if document is None or len(document) > MOST_BYTES:
        return None
    try:
        return read_card(document)
    except ValueError:
        return None
