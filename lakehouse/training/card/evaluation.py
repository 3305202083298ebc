"""The card of an evaluation snapshot: what is learned from, what is left out, and how it is judged.

Its rows are divided and have no features, so its sections are others than those of a training set;
what it is made of, and how it is written, are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.card.blocks import Block, Card, Code, Grid, Paragraph, Section
from lakehouse.training.card.counting import Identifiers
from lakehouse.training.card.figures import widened
from lakehouse.training.card.loading import FOLDER
from lakehouse.training.card.sections import (
    few_users,
    numbered,
    pinned_tables,
    shown_time,
    withdrawn,
)
from lakehouse.training.manifest import EvaluationManifest
from lakehouse.training.rows import tenant_batches

SPLITS: Final = ("train", "validation", "test")
_COLUMNS: Final = [
    *("user_id", "item_id", "label", "negative_type", "event_time", "split"),
    *("is_cold_user", "is_cold_item"),
]
_LIMITS: Final = (
    "Validation and test are positives. Rank all of items.parquet for a user, less what the user "
    "has in train; popularity is its train_positive_count, and no other count.",
    "A drawn negative of train may be what its user takes in the test: the user had no interaction "
    "with it before the split. So a ranking must not leave train's negatives out.",
    "Where a split is by time, a user may have rows in one part alone, and an item may be new in "
    "the test: is_cold_user and is_cold_item mark them.",
    "Labels of train are as known by the split, not as known later.",
    "An evaluation snapshot has no features: the training set has those of its own rows.",
)


@dataclass(slots=True)
class PartFigures:
    """What a pass over the rows of a split has found; cold rows are those of new users or items."""

    rows: int = 0
    positives: int = 0
    cold_users: int = 0
    cold_items: int = 0
    earliest: datetime | None = None
    latest: datetime | None = None
    users: Identifiers = field(default_factory=Identifiers)
    items: Identifiers = field(default_factory=Identifiers)


@dataclass(frozen=True, slots=True)
class EvaluationContents:
    """What a card says; without figures `unread` says why the rows could not be read.

    `items` may be ranked, `learned` of them have a positive in train.
    """

    manifest: EvaluationManifest
    parts: Mapping[str, PartFigures] | None = None
    items: int = 0
    learned: int = 0
    unread: str = ""


def gather_evaluation(lake: Lake, manifest: EvaluationManifest) -> EvaluationContents:
    """Read the rows of a snapshot once. Never raises for rows that are gone: the card tells it."""
    try:
        parts = _read_parts(lake, manifest)
        items = learned = 0
        columns = ["item_id", "train_positive_count"]
        for frame in tenant_batches(lake, manifest, manifest.item_table, columns):
            items += frame.height
            learned += int((frame.get_column("train_positive_count") > 0).sum())
    except EtaError as error:
        return EvaluationContents(manifest, unread=error.message)
    return EvaluationContents(manifest, parts, items, learned)


def _read_parts(lake: Lake, manifest: EvaluationManifest) -> dict[str, PartFigures]:
    """Raises `EtaError` when the rows are not as many in each part as the manifest says."""
    found = {name: PartFigures() for name in SPLITS}
    for frame in tenant_batches(lake, manifest, manifest.data_table, _COLUMNS):
        for name, part in found.items():
            _take(part, frame.filter(pl.col("split") == name))
    counts, held_out = manifest.counts, manifest.held_out
    said = (counts.rows, counts.positives, held_out.validation, held_out.test)
    seen = (
        *(found["train"].rows, found["train"].positives),
        *(found[name].rows for name in SPLITS[1:]),
    )
    if seen != said:
        raise EtaError(
            f"the rows of snapshot {manifest.snapshot_id} are not those its manifest names",
            remedy="make a new snapshot, and report this",
        )
    return found


def _take(part: PartFigures, rows: pl.DataFrame) -> None:
    if not rows.height:
        return
    part.rows += rows.height
    part.positives += int((rows.get_column("label") == 1).sum())
    part.cold_users += int(rows.get_column("is_cold_user").fill_null(value=False).sum())
    part.cold_items += int(rows.get_column("is_cold_item").fill_null(value=False).sum())
    part.earliest, part.latest = widened(part, rows.get_column("event_time"))
    part.users.update(rows.get_column("user_id"))
    part.items.update(rows.get_column("item_id"))


def make_evaluation_card(found: EvaluationContents) -> Card:
    """Return the card of what was read."""
    manifest = found.manifest
    sections = [
        Section("What it is", [*_warnings(found), _identity(manifest), *pinned_tables(manifest)]),
        Section("How it is divided", [Grid(("", ""), list(_division(manifest)))]),
        Section("Rows", list(_rows(found))),
        Section("Who and what is new in the test", list(_overlap(found))),
        Section("Known limits", [Grid(("", "limit"), numbered(_LIMITS))]),
        _loading(manifest),
    ]
    return Card(f"Evaluation snapshot of {manifest.tenant_id}, {manifest.snapshot_id}", sections)


def _warnings(found: EvaluationContents) -> Iterable[Block]:
    if (text := withdrawn(found.manifest)) is not None:
        yield text
    elif found.parts is None:
        yield Paragraph(f"The rows could not be read: {found.unread}.", "warning")
    if found.parts is not None:
        users = Identifiers()
        for part in found.parts.values():
            users.take(part.users)
        yield from few_users(len(users))


def _identity(manifest: EvaluationManifest) -> Grid:
    made_with = manifest.parameters
    return Grid(
        ("", ""),
        [
            ("Tenant", manifest.tenant_id),
            ("Snapshot", manifest.snapshot_id),
            ("Content hash", f"{manifest.content_hash} (as published; not computed again here)"),
            ("Published", shown_time(manifest.created_at)),
            ("Newest row known", shown_time(manifest.newest_known_at)),
            ("Cutoff", made_with.cutoff or "none: everything known counted"),
            ("Seed", str(made_with.seed)),
            ("Models", manifest.code_version),
            ("Positive types", ", ".join(made_with.positive_types) or "none"),
            ("Negative types", ", ".join(made_with.negative_types) or "none"),
        ],
    )


def _division(manifest: EvaluationManifest) -> Iterable[tuple[str, str]]:
    split = manifest.split
    if split.train_until is None or split.validation_until is None:
        method = "leave one out: each user's last positive is the test, the one before validation"
        yield "Method", method
    else:
        yield "Method", "by time: one moment for all users"
        yield "Train until", f"{shown_time(split.train_until)}, not included"
        yield "Validation until", f"{shown_time(split.validation_until)}, not included"
        shares = f"{split.train_share:.1%} train, {split.validation_share:.1%} validation"
        yield "Shares where no moment was asked for", shares
    yield "Least positives of a user in train", str(split.minimum_user_positives)
    yield "Least positives of an item in train", str(split.minimum_item_positives)
    yield "Positives of train that these left out", f"{manifest.held_out.infrequent:,}"


def _rows(found: EvaluationContents) -> Iterable[Block]:
    manifest = found.manifest
    counts, held_out = manifest.counts, manifest.held_out
    if found.parts is None:
        yield Grid(
            ("part", "rows"),
            [
                ("train", f"{counts.rows:,}"),
                ("validation", f"{held_out.validation:,}"),
                ("test", f"{held_out.test:,}"),
            ],
            frozenset({1}),
        )
        return
    rows = [
        (
            name,
            f"{part.rows:,}",
            f"{part.positives:,}",
            f"{len(part.users):,}",
            f"{len(part.items):,}",
            "–" if part.earliest is None else shown_time(part.earliest),
            "–" if part.latest is None else shown_time(part.latest),
        )
        for name, part in found.parts.items()
    ]
    header = ("part", "rows", "positives", "users", "items", "from", "to")
    yield Grid(header, rows, frozenset({1, 2, 3, 4}))
    yield Grid(
        ("", ""),
        [
            ("Negatives of train, sampled", f"{counts.sampled_negatives:,}"),
            ("Negatives of train, explicit", f"{counts.explicit_negatives:,}"),
            ("Could not be drawn", f"{counts.shortfall:,} (too few items were eligible)"),
            ("Items to rank", f"{found.items:,}"),
            ("… with a positive in train", f"{found.learned:,}"),
        ],
    )
    if not held_out.test:
        yield Paragraph("There is nothing in the test.", "warning")


def _overlap(found: EvaluationContents) -> Iterable[Block]:
    if found.parts is None:
        yield Paragraph("Not known: the rows could not be read.")
        return
    train = found.parts["train"]
    rows = []
    for name in SPLITS[1:]:
        part = found.parts[name]
        rows += [
            (name, "users", f"{len(part.users):,}", f"{part.users.without(train.users):,}"),
            (name, "items", f"{len(part.items):,}", f"{part.items.without(train.items):,}"),
            (name, "rows of a cold user", f"{part.cold_users:,}", ""),
            (name, "rows of a cold item", f"{part.cold_items:,}", ""),
        ]
    yield Grid(("part", "", "number", "in no row of train"), rows, frozenset({2, 3}))
    yield Paragraph("Cold: without a positive among the rows of train.", "quiet")


def _loading(manifest: EvaluationManifest) -> Section:
    which = f"--tenant {manifest.tenant_id} --snapshot {manifest.snapshot_id}"
    lines = f"""\
from eta_data import TrainingSet

train = TrainingSet.open("{FOLDER}", "{manifest.tenant_id}", split="train")
test = TrainingSet.open("{FOLDER}", "{manifest.tenant_id}", split="test")
print(len(train), len(test))
"""
    return Section(
        "How to load it",
        [
            Code("sh", f"eta evaluation export {which} --to {FOLDER}"),
            Paragraph("eta-data:"),
            Code("python", lines),
        ],
    )
