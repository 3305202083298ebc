"""What a published training set is: the one document that names its rows and how they were made.

A manifest holds counts, parameters and versions and never a user or an item, so it may be copied
anywhere and outlives an erasure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

TRAINING_DATA: Final = "training.training_data"
CATALOGUE: Final = "staging.stg_items"
AVAILABILITY: Final = "training.item_availability"
EXAMPLES: Final = "training.training_examples"
HISTORIES: Final = "training.user_histories"
PINNED_TABLES: Final = (TRAINING_DATA, CATALOGUE, AVAILABILITY, EXAMPLES, HISTORIES)
"""Tables whose Delta versions a snapshot pins; what an export reads."""
EVALUATION_DATA: Final = "evaluation.evaluation_data"
EVALUATION_ITEMS: Final = "evaluation.evaluation_items"
PINNED_FOR_EVALUATION: Final = (EVALUATION_DATA, EVALUATION_ITEMS, CATALOGUE)
"""The same for an evaluation snapshot."""


_OF_SETTINGS: Final = (
    "event_types",
    "half_life_days",
    "clickstream",
    "traffic",
    "shown_per_positive",
    "negatives",
)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableVersion(_Model):
    """A version of a Delta table, and where the table stands below the lake."""

    location: str
    version: int = Field(ge=0)
    table_id: str | None = None
    """Delta's id of the table: one that was dropped and built again has another. None in a manifest
    of an earlier release."""

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = dump(self)
        if found.get("table_id") is None:
            found.pop("table_id", None)
        return found


class Part(_Model):
    """A tenant's part of a pinned table: known from Delta's log, no row was read for it."""

    rows: int
    files: int
    bytes: int
    files_hash: str
    """Hash over the names of its data files, which Delta never writes twice, and what is deleted
    of them: the same hash is the same rows; other files may hold the same, too."""


class Parameters(_Model):
    """What the rows are a function of besides the source tables."""

    seed: int
    cutoff: str | None
    """The `cutoff` variable of the run; None when everything that was known counted."""
    negatives_per_positive: int
    positive_types: tuple[str, ...]
    negative_types: tuple[str, ...]
    event_types: tuple[Mapping[str, Any], ...] | None = None
    """The types that the tenant has declared, the weakest first; None: the contract's."""
    half_life_days: float | None = None
    """Days after which a row weighs half; None: its age does not matter."""
    clickstream: Mapping[str, Any] | None = None
    """Which clickstream events are what, as the models read it; None: the tenant maps none, or the
    manifest is of an earlier release."""
    traffic: Mapping[str, Any] | None = None
    """What the tenant's settings say of traffic; None: nothing is left out for it."""
    shown_per_positive: int | None = None
    """Most negatives of a positive that its user was shown; None: there are none of these."""
    negatives: Mapping[str, Any] | None = None
    """How sampled negatives are drawn, shares in ten-thousandths; None: all uniformly."""

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what a tenant without these settings did not have in earlier releases."""
        found: dict[str, Any] = dump(self)
        for name in _OF_SETTINGS:
            if found.get(name) is None:
                found.pop(name, None)
        return found


class Counts(_Model):
    """Rows by kind, and what could not be drawn."""

    positives: int
    sampled_negatives: int
    explicit_negatives: int
    shortfall: int
    positives_without_negatives: int
    liked_and_disliked: int
    shown_negatives: int | None = None
    """None: the tenant takes no negatives from impressions."""

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = dump(self)
        if found.get("shown_negatives") is None:
            found.pop("shown_negatives", None)
        return found

    @property
    def negatives(self) -> int:
        """Rows with label 0.0."""
        return self.sampled_negatives + self.explicit_negatives + (self.shown_negatives or 0)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.positives + self.negatives


class Column(_Model):
    """A column as Delta knows it."""

    name: str
    type: str


class Manifest(_Model):
    """A published snapshot of one tenant's training set; immutable."""

    format: Literal[1] = 1
    snapshot_id: str
    """`<UTC time to the millisecond>-<start of the content hash>`: sorts by time."""
    tenant_id: str
    created_at: AwareDatetime
    pinned: Mapping[str, TableVersion]
    """Table name → version; kept from vacuum as long as the snapshot is."""
    source_versions: Mapping[str, int]
    """Source table → Delta version up to which the run for all tenants had read it."""
    newest_known_at: AwareDatetime
    """The newest `known_at` among the interactions that were read."""
    parameters: Parameters
    counts: Counts
    label_balance: float
    """Share of the rows with label 1.0."""
    content_hash: str
    columns: tuple[Column, ...]
    code_version: str
    example_files: str | None = None
    """Hash over the tenant's files of `EXAMPLES` and `HISTORIES`; others may hold the same rows.
    None in a manifest of an earlier release, which pins neither."""
    parts: Mapping[str, Part] | None = None
    """Table name → the tenant's part of it. None in a manifest of an earlier release, and in that
    of an evaluation snapshot."""
    gate: Mapping[str, Any] | None = None
    """What the quality gate reported; None when it was not run."""

    withdrawn_at: AwareDatetime | None = None
    """When an erasure deleted rows that the snapshot needs: they cannot be read any more."""

    def has_content_of(self, other: Manifest) -> bool:
        """Whether both name the same rows, made with the same parameters, that can be read."""
        return self.withdrawn_at is None and _content(self) == _content(other)

    @property
    def training_data(self) -> TableVersion:
        """The pinned version of the training data."""
        return self.pinned[TRAINING_DATA]

    @property
    def command(self) -> str:
        """The `eta` command that lists and shows snapshots of this kind."""
        return "eta training"

    @property
    def data_table(self) -> str:
        """Name of the table that holds the rows."""
        return TRAINING_DATA

    @property
    def item_table(self) -> str:
        """Name of the table that holds one row per item."""
        return AVAILABILITY

    @property
    def row_count(self) -> int:
        """Rows of the snapshot."""
        return self.counts.rows


class Split(_Model):
    """Where an evaluation snapshot is divided: fixed when it was made."""

    method: Literal["time", "leave_one_out"]
    train_until: AwareDatetime | None
    """First moment that training rows may not know; None for leave-one-out."""
    validation_until: AwareDatetime | None
    """First moment of the test rows; None for leave-one-out."""
    train_share: float
    validation_share: float
    """The shares that moments follow from which nobody asked for."""
    minimum_user_positives: int
    minimum_item_positives: int


class HeldOut(_Model):
    """Positives that are kept from training, and those that the thresholds took out of it."""

    validation: int
    test: int
    of_cold_users: int
    """Validation and test rows of users without a positive among the training rows."""
    of_cold_items: int
    infrequent: int
    """Positives of train that the thresholds left out."""


class EvaluationManifest(Manifest):
    """A published evaluation snapshot: `counts` are its training rows, `held_out` the others."""

    split: Split
    held_out: HeldOut

    def has_content_of(self, other: Manifest) -> bool:
        """Whether both name the same rows, made with the same parameters and the same split."""
        return (
            isinstance(other, EvaluationManifest)
            and super().has_content_of(other)
            and (self.split, self.held_out) == (other.split, other.held_out)
        )

    @property
    def command(self) -> str:
        """See `Manifest.command`."""
        return "eta evaluation"

    @property
    def data_table(self) -> str:
        """See `Manifest.data_table`."""
        return EVALUATION_DATA

    @property
    def item_table(self) -> str:
        """See `Manifest.item_table`."""
        return EVALUATION_ITEMS

    @property
    def row_count(self) -> int:
        """See `Manifest.row_count`."""
        return self.counts.rows + self.held_out.validation + self.held_out.test


def make_snapshot_id(now: datetime, content_hash: str) -> str:
    """Return an id that sorts by time (milliseconds, UTC) and names the content."""
    moment = now.astimezone(UTC)
    return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1_000:03}Z-{content_hash[:8]}"


def diff(before: Manifest, after: Manifest) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ, by dotted name, each with both values.

    The id and the time of publication always differ and are left out, and so are the parts: files
    differ after every run, and the counts say how many rows.
    """
    left, right = _flat(before), _flat(after)
    return {
        name: (left.get(name), right.get(name))
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    }


def _content(manifest: Manifest) -> tuple[object, ...]:
    return (
        manifest.tenant_id,
        manifest.content_hash,
        manifest.parameters,
        manifest.counts,
        manifest.columns,
    )


def _flat(manifest: Manifest) -> dict[str, Any]:
    fields = manifest.model_dump(
        mode="json", exclude={"snapshot_id", "created_at", "gate", "parts"}
    )
    fields["columns"] = {column["name"]: column["type"] for column in fields["columns"]}
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if not isinstance(value, dict):
            flat[prefix] = value
            return
        for name, inner in value.items():
            walk(f"{prefix}.{name}" if prefix else name, inner)

    walk("", fields)
    return flat
