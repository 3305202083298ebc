"""Evaluation snapshots: made on request, one build for all tenants asked for, then published.

The split is decided by the models, from staging as the last run left it, and stands in the manifest
from then on. A snapshot whose split and rows are those of the tenant's current one is not published
again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deltalake import DeltaTable

from lakehouse.contracts.tenant import EvaluationSettings
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.row_counts import rows_by_tenant
from lakehouse.training.candidates import code_version
from lakehouse.training.manifest import (
    EVALUATION_DATA,
    PINNED_FOR_EVALUATION,
    Counts,
    EvaluationManifest,
    HeldOut,
    Parameters,
    Split,
    make_snapshot_id,
)
from lakehouse.training.pinned import is_kept, pin
from lakehouse.training.snapshots import EVALUATION_SETS
from lakehouse.training.tables import (
    built_with,
    columns_of,
)

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

CONTENTS: Final = "evaluation.evaluation_contents"
INTERACTIONS: Final = "staging.stg_interactions"
CATALOGUE: Final = "staging.stg_items"


def make_evaluations(
    settings: LakeSettings,
    wanted: Mapping[str, EvaluationSettings],
    build: Callable[[dict[str, Any]], object],
    clock: Callable[[], datetime],
    *,
    cutoff: str | None = None,
    seed: int | None = None,
) -> list[EvaluationManifest]:
    """Make and publish an evaluation snapshot for each tenant of `wanted`; return the manifests.

    `build` runs the evaluation models with the dbt variables it is given, and raises when one of
    them or one of their tests fails. `cutoff` and `seed` are those variables. Unchanged content is
    not published again: then the manifest is that of the current snapshot. Raises `EtaError` when
    staging was never built, when a split leaves nothing to learn from or to predict (nothing is
    published then, for nobody), or when another run changed the tables in between.
    """
    lake = Lake(settings)
    sources = [lake.built(name) for name in (INTERACTIONS, CATALOGUE)]
    requests = {name: split.model_dump(mode="json") for name, split in wanted.items()}
    variables: dict[str, Any] = {"evaluation": requests}
    given = {"cutoff": cutoff, "seed": seed}
    build(variables | {name: value for name, value in given.items() if value is not None})
    made = _Made(lake, settings.project, sources, cutoff, clock())
    found = [made.candidate(tenant_id) for tenant_id in wanted]
    return [
        EVALUATION_SETS.publish(lake, candidate, partial(_is_same, lake)) for candidate in found
    ]


def _is_same(lake: Lake, held: EvaluationManifest, candidate: EvaluationManifest) -> bool:
    return held.has_content_of(candidate) and is_kept(lake, held, candidate)


class _Made:
    """What the tables hold after a build."""

    def __init__(
        self,
        lake: Lake,
        project: Path,
        sources: list[DeltaTable],
        cutoff: str | None,
        now: datetime,
    ) -> None:
        tables = {name: lake.built(name) for name in PINNED_FOR_EVALUATION}
        self._pinned = {name: pin(name, table) for name, table in tables.items()}
        versions: dict[str, int] = {}
        for source in sources:
            versions |= built_with(source).source_versions
        self._source_versions = versions
        self._columns = columns_of(tables[EVALUATION_DATA])
        self._rows = rows_by_tenant(tables[EVALUATION_DATA])
        contents = lake.built(CONTENTS).to_pyarrow_table().to_pylist()
        self._contents = {row["tenant_id"]: row for row in contents}
        self._code_version = code_version(project)
        self._cutoff = cutoff
        self._now = now

    def candidate(self, tenant_id: str) -> EvaluationManifest:
        row = self._contents.get(tenant_id)
        if row is None or tenant_id not in self._rows:
            raise EtaError(
                f"tenant {tenant_id} has no interaction of a positive or a negative type",
                remedy="upload interactions for it, run `eta prepare`, then make the snapshot",
            )
        if row["example_count"] != self._rows[tenant_id]:
            raise EtaError(
                f"another run changed the evaluation tables of {tenant_id}; nothing was published",
                remedy="make the snapshot again when no other run is going on",
            )
        _refuse_empty_parts(tenant_id, row)
        counts = _counts(row)
        return EvaluationManifest(
            snapshot_id=make_snapshot_id(self._now, row["content_hash"]),
            tenant_id=tenant_id,
            created_at=self._now,
            pinned=self._pinned,
            source_versions=self._source_versions,
            newest_known_at=row["newest_known_at"],
            parameters=Parameters(
                seed=row["seed"],
                cutoff=self._cutoff,
                negatives_per_positive=row["negatives_per_positive"],
                positive_types=tuple(filter(None, row["positive_types"].split(","))),
                negative_types=tuple(filter(None, row["negative_types"].split(","))),
            ),
            counts=counts,
            label_balance=counts.positives / counts.rows,
            content_hash=row["content_hash"],
            columns=self._columns,
            code_version=self._code_version,
            split=_split(row),
            held_out=_held_out(row),
        )


def _counts(row: Mapping[str, Any]) -> Counts:
    return Counts(
        positives=row["train_positive_count"],
        sampled_negatives=row["sampled_negative_count"],
        explicit_negatives=row["explicit_negative_count"],
        shortfall=row["shortfall_count"],
        positives_without_negatives=row["positives_without_negatives_count"],
        liked_and_disliked=row["liked_and_disliked_count"],
    )


def _split(row: Mapping[str, Any]) -> Split:
    return Split(
        method=row["method"],
        train_until=row["train_until"],
        validation_until=row["validation_until"],
        train_share=float(row["train_share"]),
        validation_share=float(row["validation_share"]),
        minimum_user_positives=row["minimum_user_positives"],
        minimum_item_positives=row["minimum_item_positives"],
    )


def _held_out(row: Mapping[str, Any]) -> HeldOut:
    return HeldOut(
        validation=row["validation_count"],
        test=row["test_count"],
        of_cold_users=row["cold_user_count"],
        of_cold_items=row["cold_item_count"],
        infrequent=row["infrequent_count"],
    )


def _refuse_empty_parts(tenant_id: str, row: Mapping[str, Any]) -> None:
    if row["train_positive_count"] == 0:
        raise EtaError(
            f"the split leaves {tenant_id} no positive to learn from",
            remedy="choose a later --train-until, a larger --train-share or lower minimums",
        )
    if row["validation_count"] + row["test_count"] == 0:
        raise EtaError(
            f"the split leaves {tenant_id} no positive to predict",
            remedy="choose an earlier --train-until, or a smaller --train-share",
        )
