"""Makes the card of a snapshot and writes it to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.whole_files import write_whole
from lakehouse.training.card.blocks import Card
from lakehouse.training.card.gather import Contents
from lakehouse.training.card.html import card_html
from lakehouse.training.card.markdown import card_markdown
from lakehouse.training.card.sections import make_card
from lakehouse.training.manifest import EvaluationManifest, Manifest

HTML: Final = "card.html"
MARKDOWN: Final = "card.md"


def default_folder(lake: Lake, manifest: Manifest) -> Path:
    """Return where a card goes unless told otherwise: beside the exports, and expired with them."""
    kind = "evaluation-card" if isinstance(manifest, EvaluationManifest) else "card"
    return lake.home / "exports" / manifest.tenant_id / f"{manifest.snapshot_id}-{kind}"


def write_card(found: Contents, folder: Path) -> list[Path]:
    """Write `card.html` and `card.md`, each whole, in place of those that are there; return both.

    Raises `EtaError` when the folder cannot be made or written.
    """
    return write_pages(make_card(found), folder)


def write_pages(card: Card, folder: Path) -> list[Path]:
    """See `write_card`; of a card that is made already."""
    told = {folder / HTML: card_html(card), folder / MARKDOWN: card_markdown(card)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in told.items():
            write_whole(path, text)
    except OSError as error:
        raise EtaError(
            f"the card cannot be written to {folder}: {error.strerror}",
            remedy="name another folder with --to",
        ) from error
    return [*told]
