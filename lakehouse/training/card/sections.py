"""The sections of a card, made of what `gather` has read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from lakehouse.training.card.blocks import Block, Card, Code, Grid, Paragraph, Section, short
from lakehouse.training.card.distributions import distributions, feature_table, number
from lakehouse.training.card.drift import LARGE, SMALL
from lakehouse.training.card.gather import Contents, Drift
from lakehouse.training.card.loading import IN_HUGGING_FACE, IN_PARQUET, export_command
from lakehouse.training.card.meanings import UNKNOWN
from lakehouse.training.card.sampling import SamplingProof, Uniformity
from lakehouse.training.manifest import Counts, Manifest

_NOT_STATED: Final = "not stated"
_FEW_USERS: Final = 20
_FEW_ITEMS: Final = 30
"""The mean over fewer items strays by four standard deviations by chance."""
_CHECKED_ELSEWHERE: Final = (
    "Every build checks the same against all interactions, views included (the dbt tests "
    "sampled_negatives_are_unknown_to_their_user, sampled_negatives_existed_in_their_hour and "
    "sampled_negatives_do_not_repeat); a build that fails one is not published."
)
_LIMITS: Final = (
    "A sampled negative is an item that the user had no interaction with by the cutoff. It says "
    "nothing about whether the user saw it, or would have disliked it.",
    "Negatives are drawn from what was available, uniformly unless this card says otherwise. "
    "Weight rows by sampling_probability if a model needs another distribution.",
    "A view alone is neither a positive nor a negative. A pair both liked and disliked is a "
    "positive.",
    "Features are as of each event, strictly before it, and by the cutoff. Rows that become known "
    "later change them in a later snapshot, not in this one.",
    "The content hash tells equal from different. It is no protection against rows that somebody "
    "forges.",
    "Users who have withdrawn consent for training by the run are left out. An erasure withdraws "
    "the snapshots that hold the person's rows; copies in a folder of your own are yours to clean.",
    "The split into train and test is no part of a training set: make an evaluation snapshot.",
)
"""What docs/training-sets.md, docs/negative-sampling.md and docs/users.md say."""


def make_card(found: Contents) -> Card:
    """Return the card of what was read."""
    manifest = found.manifest
    sections = [
        _identity(found),
        _rows(found),
        _columns(found),
        _sampling(found),
        _coverage(found),
        *_features(found),
        _drift(found),
        _quality(found),
        _rights(found),
        Section("Known limits", [Grid(("", "limit"), numbered(_LIMITS))]),
        _loading(manifest),
    ]
    return Card(f"Training set of {manifest.tenant_id}, {manifest.snapshot_id}", sections)


def _identity(found: Contents) -> Section:
    manifest = found.manifest
    made_with = manifest.parameters
    blocks: list[Block] = []
    if (text := withdrawn(manifest)) is not None:
        blocks.append(text)
    elif "rows" in found.unread:
        blocks.append(Paragraph(f"The rows could not be read: {found.unread['rows']}.", "warning"))
    if found.figures is not None:
        blocks += few_users(len(found.figures.users))
    facts = [
        ("Tenant", manifest.tenant_id),
        ("Snapshot", manifest.snapshot_id),
        (
            "Content hash",
            f"{manifest.content_hash} (as published; not computed again here)",
        ),
        ("Published", shown_time(manifest.created_at)),
        ("Newest row known", shown_time(manifest.newest_known_at)),
        ("Cutoff", made_with.cutoff or "none: everything known counted"),
        ("Seed", str(made_with.seed)),
        ("Models", manifest.code_version),
        ("Positive types", _list(made_with.positive_types)),
        ("Negative types", _list(made_with.negative_types)),
    ]
    if made_with.half_life_days is not None:
        facts.append(("Half-life", f"{made_with.half_life_days:g} days (sample_weight of exports)"))
    return Section("What it is", [*blocks, Grid(("", ""), facts), *pinned_tables(manifest)])


def withdrawn(manifest: Manifest) -> Paragraph | None:
    """Return what is to be said of a snapshot that an erasure has withdrawn; None of another."""
    if manifest.withdrawn_at is None:
        return None
    return Paragraph(
        f"This snapshot was withdrawn on {shown_time(manifest.withdrawn_at)}: somebody was erased "
        "whose rows it held. Its rows cannot be read, and copies of them must not be trained on.",
        "warning",
    )


def few_users(count: int) -> Iterable[Paragraph]:
    """Yield what is to be said of a set of so few users that figures may tell of one of them."""
    if count < _FEW_USERS:
        yield Paragraph(
            f"The set has {_users(count)}: figures over so few may tell something of one of them. "
            "Treat this card as personal data.",
            "warning",
        )


def pinned_tables(manifest: Manifest) -> Iterable[Block]:
    """Yield what an export reads, and a card."""
    rows = []
    for name, pinned in sorted(manifest.pinned.items()):
        part = (manifest.parts or {}).get(name)
        counts = (
            ("", "", "") if part is None else (f"{part.rows:,}", f"{part.files:,}", part.files_hash)
        )
        rows.append((name, str(pinned.version), *counts))
    header = ("pinned table", "version", "rows of the tenant", "files", "hash over its files")
    yield Grid(header, rows, frozenset({1, 2, 3}))


def _rows(found: Contents) -> Section:
    manifest, figures = found.manifest, found.figures
    counts = manifest.counts
    facts = [
        ("Rows", f"{counts.rows:,}"),
        ("Positives (label 1)", f"{counts.positives:,} ({manifest.label_balance:.1%} of the rows)"),
        ("Sampled negatives (label 0)", f"{counts.sampled_negatives:,}"),
        *(
            [("Shown negatives (label 0)", f"{counts.shown_negatives:,}")]
            if counts.shown_negatives is not None
            else []
        ),
        ("Explicit negatives (label 0)", f"{counts.explicit_negatives:,}"),
        ("Pairs both liked and disliked", f"{counts.liked_and_disliked:,}"),
    ]
    if figures is not None and figures.earliest is not None and figures.latest is not None:
        facts += [
            ("Users", f"{len(figures.users):,}"),
            ("Items", f"{len(figures.items):,}"),
            ("Events from", shown_time(figures.earliest)),
            ("Events to", shown_time(figures.latest)),
        ]
    else:
        facts.append(("Users, items, times", "not known: the rows could not be read"))
    blocks: list[Block] = [Grid(("", ""), facts)]
    if not counts.positives or not counts.negatives:
        kind = "negatives" if counts.positives else "positives"
        blocks.insert(0, Paragraph(f"There are no {kind}: every row has one label.", "warning"))
    return Section("Rows and labels", blocks)


def _columns(found: Contents) -> Section:
    rows = [
        (column.name, column.type, found.meanings.get(column.name, UNKNOWN).text)
        for column in found.manifest.columns
    ]
    said = "The table of labels and draws. Features are described with their figures below."
    return Section("Columns", [Paragraph(said), Grid(("column", "type", "meaning"), rows)])


def _sampling(found: Contents) -> Section:
    counts, asked = found.manifest.counts, found.manifest.parameters.negatives_per_positive
    facts = [
        ("Negatives asked for per positive", str(asked)),
        ("Drawn per positive", _ratio(counts)),
        ("Could not be drawn", f"{counts.shortfall:,} (too few items were eligible)"),
        ("Positives without any", f"{counts.positives_without_negatives:,}"),
    ]
    facts += _ways(found)
    blocks: list[Block] = [Grid(("", ""), facts)]
    if found.proof is not None:
        blocks += _proof(found.proof)
    elif "rows" in found.unread:
        blocks.append(Paragraph("Not checked here: the rows could not be read."))
    else:
        blocks.append(Paragraph("There is no sampled negative to check."))
    blocks.append(Paragraph(_CHECKED_ELSEWHERE, "quiet"))
    return Section("Sampling", blocks)


def _ways(found: Contents) -> list[tuple[str, str]]:
    """The ways in which negatives were to be drawn, and how many rows were drawn in each."""
    said = found.manifest.parameters.negatives
    if said is None:
        return [("Drawn", "uniformly")]
    exponent, days = said["exponent"], said["period_days"]
    as_of = "day" if days == 1 else f"period of {days} days"
    uniform = 10_000 - said["popularity"] - said["category"]
    shares = [
        ("uniform", uniform, "uniformly"),
        ("popularity", said["popularity"], f"by popularity^{exponent:g} before its {as_of}"),
        ("category", said["category"], f"uniformly within its category before its {as_of}"),
    ]
    counts = found.proof.by_way if found.proof is not None else {}
    return [
        (f"Of {share / 100:g} % of the positives", f"{text}{_rows_of(counts, way)}")
        for way, share, text in shares
        if share or counts.get(way)
    ]


def _rows_of(counts: Mapping[str, int], way: str) -> str:
    return f": {counts.get(way, 0):,} of the rows looked at" if counts else ""


def _proof(proof: SamplingProof) -> Iterable[Block]:
    whose = "all users" if proof.one_in == 1 else f"one user in {proof.one_in} (a sample, by hash)"
    yield Grid(
        ("checked in the pinned rows", "result"),
        [
            ("Sampled negatives looked at", f"{proof.draws:,}, of {whose}"),
            ("That are a positive or an explicit negative of their user", f"{proof.collisions:,}"),
            ("That were not available in their hour", f"{proof.too_early:,}"),
            ("That are no item of the tenant", f"{proof.unknown_items:,}"),
            ("Whose probability does not fit the items of their hour", f"{proof.impossible:,}"),
            ("Uniform among the eligible items", _uniformity(proof.uniformity)),
        ],
    )
    if proof.collisions or proof.too_early or proof.unknown_items or proof.impossible:
        yield Paragraph("The sampling is not as it is documented: report this.", "warning")
    found = proof.uniformity
    if found is not None:
        yield Paragraph(
            "Uniform: the mean over the items of (drawn − expected)² / variance, which is 1 if the "
            "draws are uniform. The expectation counts each item as eligible from its hour on, and "
            "not for who knows it. It is exact for the users who know no item by views alone, and "
            f"was computed for those: {found.draws / proof.draws:.1%} of the negatives looked at.",
            "quiet",
        )
        if found.items >= _FEW_ITEMS and abs(found.ratio - 1) > 4 * found.error:
            yield Paragraph(
                "Draws differ from uniform ones by more than four standard deviations.", "warning"
            )


def _uniformity(found: Uniformity | None) -> str:
    if found is None:
        return (
            "not computed: no positive had a choice whose user knows labelled items alone, and "
            "items known by views are in no pinned table; the project's tests compare draws with "
            "uniform ones"
        )
    spread = f"{found.ratio:.3f}, expected 1 ± {2 * found.error:.3f} (two standard deviations)"
    return f"{spread}, over {found.items:,} items and {found.draws:,} draws"


def _coverage(found: Contents) -> Section:
    covered, figures = found.coverage, found.figures
    if covered is None or figures is None:
        return Section("Coverage", [Paragraph("Not known: the rows could not be read.")])
    rows = [
        ("Items that could be drawn", f"{covered.items:,}", ""),
        ("… that occur in the rows", *_share(covered.used, covered.items)),
        ("… that occur as a positive", *_share(covered.positive, covered.items)),
        ("Items with a row of the catalogue", f"{covered.catalogued:,}", ""),
        ("… that occur in the rows", *_share(covered.catalogued_used, covered.catalogued)),
    ]
    if covered.moments is None or covered.users_with_history is None:
        rows.append(("Users with a history", "not known: none is pinned", ""))
    else:
        with_past = covered.moments - (covered.first_moments or 0)
        rows += [
            ("Users", f"{len(figures.users):,}", ""),
            (
                "… with an interaction before a labelled one",
                *_share(covered.users_with_history, len(figures.users)),
            ),
            ("Moments of labelled interactions", f"{covered.moments:,}", ""),
            ("… with an earlier interaction", *_share(with_past, covered.moments)),
        ]
    return Section("Coverage", [Grid(("", "number", "share"), rows, frozenset({1, 2}))])


def _features(found: Contents) -> list[Section]:
    if found.figures is None:
        return [Section("Features", [Paragraph("Not known: the rows could not be read.")])]
    if not found.figures.features and not found.figures.other:
        said = "The snapshot pins no features: it was published by a release that kept none."
        return [Section("Features", [Paragraph(said)])]
    return [
        Section("Features", feature_table(found)),
        Section("Distributions", distributions(found)),
    ]


def _drift(found: Contents) -> Section:
    title = "Drift against the snapshot before"
    if found.drift is None:
        why = found.unread.get("drift", "the rows could not be read")
        return Section(title, [Paragraph(f"Not known: {why}.")])
    drift = found.drift
    rows = [
        ("Compared with", drift.since),
        ("New items, lost items", f"{drift.new_items:,}, {drift.lost_items:,}"),
        ("New users, lost users", f"{drift.new_users:,}, {drift.lost_users:,}"),
    ]
    told = _indexes(drift)
    method = (
        "PSI: the population stability index, the sum over bins of (q − p) · ln(q / p), p and q "
        "the shares of the earlier and of this snapshot. Bins are the earlier snapshot's deciles, "
        "or its ten most frequent texts and all others; rows without a value are a bin. An empty "
        f"bin counts as half a row. By convention below {SMALL} is small and from {LARGE} on large."
    )
    return Section(title, [Grid(("", ""), rows), *told, Paragraph(method, "quiet")])


def _indexes(drift: Drift) -> Iterable[Block]:
    known = {name: index for name, index in drift.indexes.items() if index is not None}
    if known:
        ordered = sorted(known.items(), key=lambda one: (-one[1], one[0]))
        rows = [(short(name), f"{index:.3f}", _size(index)) for name, index in ordered]
        yield Grid(("feature", "PSI", ""), rows, frozenset({1}))
    else:
        yield Paragraph("No feature is in both snapshots.")
    new = [short(name) for name, index in drift.indexes.items() if index is None]
    if new and known:
        yield Paragraph(f"Without an index, not comparable with the earlier set: {_list(new)}.")
    if drift.gone:
        yield Paragraph(f"Only in the earlier set: {_list([short(name) for name in drift.gone])}.")


def _quality(found: Contents) -> Section:
    manifest, scores = found.manifest, found.stated.scores
    gate = manifest.gate
    if gate is None:
        checked = "not run before this publication"
    else:
        checked = "passed" if gate.get("passed") else "did not pass"
    rows = [("Quality gate", checked, "")]
    for score in scores:
        told = "not known" if score.score is None else f"{score.score:.1f} of 100"
        rows.append(
            (f"Score of {score.data_type}", told, f"measured {shown_time(score.measured_at)}")
        )
    if not scores:
        rows.append(("Quality score", "not known: none was measured by the publication", ""))
    return Section("Quality of the data", [Grid(("", "", ""), rows)])


def _rights(found: Contents) -> Section:
    words, why = found.stated.words, found.stated.why
    missing = _NOT_STATED if words is not None else f"not known: {why}"
    rows = [
        (title, getattr(words, name, None) or missing)
        for title, name in (("Licence", "licence"), ("Consent", "consent"), ("Contact", "contact"))
    ]
    said = (
        "The tenant's own words (the setting training_set), as they are when the card is made. The "
        "rows hold ids of users and are personal data."
    )
    return Section("Licence and consent", [Paragraph(said), Grid(("", ""), rows)])


def _loading(manifest: Manifest) -> Section:
    blocks: list[Block] = []
    for name, tools in (("parquet", IN_PARQUET), ("huggingface", IN_HUGGING_FACE)):
        blocks.append(Code("sh", export_command(manifest, name)))
        for tool, code in tools:
            blocks += [Paragraph(f"{tool}:"), Code("python", code)]
    return Section("How to load it", blocks)


def numbered(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return texts with their numbers, as rows of a table."""
    return [(str(place), text) for place, text in enumerate(texts, 1)]


def _ratio(counts: Counts) -> str:
    if not counts.positives:
        return "none: there are no positives"
    return f"{counts.sampled_negatives / counts.positives:.3f}"


def _share(part: int, whole: int) -> tuple[str, str]:
    return f"{part:,}", f"{part / whole:.1%}" if whole else "–"


def _size(index: float) -> str:
    return "small" if index < SMALL else "large" if index >= LARGE else "middling"


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _users(count: int) -> str:
    return "1 user" if count == 1 else f"{number(count)} users"


def shown_time(moment: datetime) -> str:
    """Return a moment as cards have it."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
