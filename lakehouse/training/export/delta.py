"""Writes a delta: what has to be done to an export of one snapshot to have that of a later one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.export.comparing import Comparison, DeltaPlan
from lakehouse.training.export.delta_document import (
    DELTA,
    KINDS,
    REMOVED,
    Counts,
    Delta,
    NamedSnapshot,
)
from lakehouse.training.export.delta_readme import delta_readme
from lakehouse.training.export.features import choose_features, chosen_fields
from lakehouse.training.export.parquet import (
    LABEL,
    SCHEMA,
    TARGET_FILE_BYTES,
    PartFiles,
    arrow_table,
    has_drawn_ways,
    has_shown_negatives,
    training_columns,
)
from lakehouse.training.export.run import MANIFEST, begin, named_choice, new_folder
from lakehouse.training.manifest import EXAMPLES, HISTORIES, EvaluationManifest, Manifest
from lakehouse.training.rows import (
    ORDER,
    RANGE_ROWS,
    ChosenFeatures,
)
from lakehouse.training.sample_weights import (
    has_sample_weights,
)
from lakehouse.training.snapshots import EVALUATION_SETS, TRAINING_SETS, to_json
from lakehouse.training.version_changes import TableChanges, TenantFiles, changes

_KEYS: Final = pa.schema([SCHEMA.field(name) for name in ORDER])
"""The columns of `removed`."""


def default_delta_destination(
    lake: Lake, base: Manifest, result: Manifest, features: Sequence[str] = (), history: int = 0
) -> Path:
    """Return where a delta goes unless told otherwise: below the home, where erasure looks.

    Both snapshots are in the name: an expiry of either deletes it.
    """
    name = f"{result.snapshot_id}-delta-since-{base.snapshot_id}{named_choice(features, history)}"
    return lake.home / "exports" / result.tenant_id / name


def find_base(lake: Lake, tenant_id: str, snapshot_id: str) -> Manifest:
    """Return the snapshot that a delta is to begin at; raise `EtaError` without it."""
    try:
        return TRAINING_SETS.find(lake, tenant_id, snapshot_id)
    except EtaError:
        if snapshot_id in (made.snapshot_id for made in EVALUATION_SETS.all_of(lake, tenant_id)):
            raise _of_evaluations() from None
        raise


def plan_delta(
    lake: Lake, base: Manifest, result: Manifest, *, features: Sequence[str] = (), history: int = 0
) -> DeltaPlan:
    """Find the rows that two snapshots do not share; read no row.

    Raises `EtaError` when there can be no delta between them, with what to do instead.
    """
    _refuse_pair(base, result)
    _refuse_other_columns(base, result)
    chosen = choose_features(lake, result, features, history)
    fields = chosen_fields(lake, result, chosen)
    with _or_the_whole(result):
        earlier = choose_features(lake, base, features, history)
        if chosen_fields(lake, base, earlier) != fields:
            raise _no_delta("the snapshots have other columns for what was chosen", result)

    def found(table: str) -> TableChanges:
        new = TenantFiles(lake, result, table)
        with _or_the_whole(result):
            return changes(TenantFiles(lake, base, table), new)

    rows = found(result.data_table if chosen is None else EXAMPLES)
    histories = found(HISTORIES) if chosen is not None and chosen.history else None
    result_rows = rows.result.row_count()
    with _or_the_whole(result):
        base_rows = rows.base.row_count()
    return DeltaPlan(base, result, chosen, tuple(fields), rows, histories, base_rows, result_rows)


def write_delta(
    plan: DeltaPlan,
    destination: Path,
    *,
    on_rows: Callable[[int], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    range_rows: int = RANGE_ROWS,
    file_bytes: int = TARGET_FILE_BYTES,
) -> Delta:
    """Write a delta to a new folder, whole or not at all; return what its `delta.json` says.

    `on_rows` hears how many rows each batch had as it was read, and `say` what becomes of what a
    killed process left there. Raises `EtaError` when `destination` is there already or another
    process is making it, or when the rows are gone or differ from the manifests.
    """
    with new_folder(destination.absolute()) as folder:
        names = to_json(plan.base) + to_json(plan.result)
        journal = begin(folder, "delta", names, plan.chosen, say)
        schema = row_schema(plan.result, plan.fields)
        files = {
            kind: PartFiles(
                folder / kind, _KEYS if kind == REMOVED else schema, file_bytes, journal
            )
            for kind in KINDS
        }
        counts = dict.fromkeys(KINDS, 0)
        with TemporaryDirectory(dir=folder, prefix=".spill-") as spill:
            for kind, frame in Comparison(plan, Path(spill), range_rows, on_rows).changes():
                wanted = _KEYS if kind == REMOVED else schema
                files[kind].write(arrow_table(frame, wanted))
                counts[kind] += frame.height
        for found in files.values():
            found.close(is_never_empty=True)
        chosen = plan.chosen or ChosenFeatures((), 0)
        document = Delta(
            tenant_id=plan.result.tenant_id,
            base=NamedSnapshot.of(plan.base),
            result=NamedSnapshot.of(plan.result),
            rows=Counts(**counts),
            features=chosen.columns,
            history=chosen.history,
        )
        (folder / DELTA).write_text(document.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (folder / MANIFEST).write_bytes(to_json(plan.result))
        readme = delta_readme(document, plan.result, plan.chosen)
        (folder / "README.md").write_text(readme, encoding="utf-8")
    return document


def row_schema(manifest: Manifest, added: Iterable[pa.Field]) -> pa.Schema:
    """Return the columns of rows that were added or changed, the label among them."""
    return pa.schema([*training_columns(manifest), LABEL, *added])


def _refuse_pair(base: Manifest, result: Manifest) -> None:
    if isinstance(base, EvaluationManifest) or isinstance(result, EvaluationManifest):
        raise _of_evaluations()
    if base.snapshot_id == result.snapshot_id:
        raise EtaError(
            f"snapshot {base.snapshot_id} is the one that would be exported: nothing came after it",
            remedy="name an earlier one with --since, or a later one with --snapshot",
        )
    if base.created_at > result.created_at:
        raise EtaError(
            f"snapshot {base.snapshot_id} was published after {result.snapshot_id}",
            remedy="name the earlier one with --since and the later one with --snapshot",
        )


def _refuse_other_columns(base: Manifest, result: Manifest) -> None:
    if any(one.parameters.half_life_days is not None for one in (base, result)):
        raise _no_delta("with a half-life every snapshot has another weight in every row", result)
    if has_sample_weights(base) != has_sample_weights(result):
        raise _no_delta("one of the snapshots has weights, and the other has none", result)
    if has_shown_negatives(base) != has_shown_negatives(result):
        raise _no_delta("one of the snapshots has shown negatives, and the other none", result)
    if has_drawn_ways(base) != has_drawn_ways(result):
        raise _no_delta("the negatives of one of the snapshots are all drawn uniformly", result)


def _of_evaluations() -> EtaError:
    return EtaError(
        "an evaluation snapshot has no deltas", remedy="take it whole with `eta evaluation export`"
    )


@contextmanager
def _or_the_whole(result: Manifest) -> Iterator[None]:
    """Say of an error with the base that the whole export is to be taken."""
    try:
        yield
    except EtaError as error:
        raise _no_delta(error.message, result) from error


def _no_delta(message: str, result: Manifest) -> EtaError:
    return EtaError(
        message,
        remedy=f"take the whole export: `eta export --tenant {result.tenant_id} "
        f"--snapshot {result.snapshot_id}`",
    )
