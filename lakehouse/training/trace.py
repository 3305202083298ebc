"""Follows a row of a training set back to where its event came in: set, event, raw row, batch.

Each table is read for one tenant in pieces, with values compared in this process: no statement
holds an identifier. Raw is opened at the days alone on which the events became known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl
import pyarrow.compute as pc
from deltalake import QueryBuilder

from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    RAW_CLICKSTREAM,
    RAW_INTERACTIONS,
    TableSpec,
)
from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import counting, ledger_rows, summed
from lakehouse.storage.quarantine import check_batch_id, place_of
from lakehouse.training.content_hash import DRAWN_BY
from lakehouse.training.manifest import Manifest
from lakehouse.training.rows import tenant_batches

STAGED: Final = "staging.stg_interactions"
_EVENT: Final = (
    *("event_id", "user_id", "item_id", "interaction_type", "event_time", "known_at"),
    *("attributed_at", "source", "batch_id", "source_ref"),
)
_PLACE: Final = ("batch_id", "source_ref")


@dataclass(frozen=True, slots=True)
class Step:
    """One row on the way back: what it is, in which table, and what that says of it."""

    kind: str
    table: str
    text: str


def trace(lake: Lake, manifest: Manifest, user_id: str, item_id: str) -> list[Step]:
    """Return where a user's row of an item in a snapshot comes from, newest step first.

    A drawn negative has no event: it leads to those of the positive that it was drawn for. Raises
    `EtaError` when the set has no such row, or the snapshot cannot be read.
    """
    labelled = _labelled(lake, manifest, user_id, item_id)
    if labelled.is_empty():
        raise EtaError(
            f"snapshot {manifest.snapshot_id} has no row of this user and this item",
            remedy="ids are matched as they were sent, letter by letter; "
            "`eta training list` shows the snapshots",
        )
    steps = [
        Step("training row", manifest.data_table, _label(row))
        for row in labelled.iter_rows(named=True)
    ]
    anchors = labelled["anchor_item_id"].unique().to_list()
    events = _staged(lake, manifest.tenant_id, user_id, anchors)
    for anchor in sorted(set(anchors)):
        steps += _events(lake, manifest.tenant_id, anchor, events.filter(item_id=anchor))
    for batch_id in events["batch_id"].unique().sort():
        steps.append(_batch(lake, manifest.tenant_id, batch_id))
    return steps


def _labelled(lake: Lake, manifest: Manifest, user_id: str, item_id: str) -> pl.DataFrame:
    wanted = (pl.col("user_id") == user_id) & (pl.col("item_id") == item_id)
    found = [frame.filter(wanted) for frame in tenant_batches(lake, manifest, manifest.data_table)]
    return pl.concat(found).sort("event_time", "draw_index") if found else pl.DataFrame()


def _label(row: dict[str, Any]) -> str:
    when = _time(row["event_time"])
    if row["negative_type"] in ("sampled", "shown"):
        chance = row["sampling_probability"]
        way = row.get(DRAWN_BY)
        how = {"popularity": ", drawn by popularity", "category": ", drawn within the category"}
        return (
            f"{row['negative_type']} negative, draw {row['draw_index']} for the positive on "
            f"{row['anchor_item_id']} at {when}{how.get(way or '', '')}, taken with probability "
            f"{chance:.6g}"
        )
    kind = "positive" if row["label"] == 1 else "explicit negative"
    return f"{kind}: {row['interaction_type']} at {when}"


def _events(lake: Lake, tenant_id: str, item_id: str, events: pl.DataFrame) -> Iterator[Step]:
    """Yield the events of the user and an item, which together made its label, and their rows."""
    if events.is_empty():
        yield Step("event", STAGED, f"no event on {item_id} is held any more")
    for event in events.sort("event_time", "event_id").iter_rows(named=True):
        when, known = _time(event["event_time"]), _time(event["known_at"])
        text = f"{event['event_id']}: {event['interaction_type']} on {item_id} at {when}"
        if event["attributed_at"] is not None:
            text += f", tied to the user at {_time(event['attributed_at'])}"
        yield Step("event", STAGED, f"{text}, known since {known}")
        yield _raw_row(lake, tenant_id, event)


def _staged(lake: Lake, tenant_id: str, user_id: str, item_ids: list[str]) -> pl.DataFrame:
    """Return the staged events of a user and some items; the tenant's are read piece by piece.

    Staging of an earlier release does not know `attributed_at`.
    """
    table = lake.built(STAGED)
    held = {field.name for field in table.schema().fields}
    names = [name for name in _EVENT if name in held]
    where = f"tenant_id = '{check_tenant_id(tenant_id)}'"
    text = f"select {', '.join(names)} from held where {where}"  # noqa: S608
    wanted = (pl.col("user_id") == user_id) & pl.col("item_id").is_in(item_ids)
    pieces = QueryBuilder().register("held", table).execute(text)
    found = [pl.DataFrame(piece).filter(wanted) for piece in pieces]
    rows = pl.concat(found) if found else pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    lacking = [pl.lit(None, pl.String).alias(name) for name in _EVENT if name not in held]
    return rows.with_columns(lacking)


def _raw_row(lake: Lake, tenant_id: str, event: dict[str, Any]) -> Step:
    """Return where the row that the event was staged from stands; a kind of raw may lack it."""
    place = f"{event['source']}, batch {event['batch_id']}, {_place(event['source_ref'])}"
    for spec in (RAW_INTERACTIONS, RAW_CLICKSTREAM):
        for path in _files_with(lake, spec, tenant_id, event):
            return Step("raw row", spec.full_name, f"{place}, in {path.rpartition('/')[2]}")
    gone = "not held any more: it expired, or was corrected"
    return Step("raw row", "raw", f"{place}: {gone}")


def _files_with(
    lake: Lake, spec: TableSpec, tenant_id: str, event: dict[str, Any]
) -> Iterator[str]:
    """Yield the files of raw with the row; its `known_at` says the day whose files are opened."""
    if (table := lake.find(spec)) is None:
        return
    day = event["known_at"].astimezone(UTC).date()
    own_day = (pc.field("tenant_id") == tenant_id) & (pc.field("ingest_date") == day)
    # compared by polars: pyarrow cannot compare the string views that delta-rs writes
    is_row = pl.all_horizontal(pl.col(name) == event[name] for name in _PLACE)
    for fragment in table.to_pyarrow_dataset().get_fragments(filter=own_day):
        pieces = map(pl.DataFrame, fragment.to_batches(columns=[*_PLACE]))
        if any(piece.filter(is_row).height for piece in pieces):
            yield fragment.path


def _batch(lake: Lake, tenant_id: str, batch_id: str) -> Step:
    """Return what the ledger says of a batch, with its replays."""
    condition = f"batch_id = '{check_batch_id(batch_id)}'"
    found = []
    if lake.find(OPS_INGEST_LEDGER) is not None:
        rows = ledger_rows(lake.table, tenant_id, condition)
        found = summed(counting(rows, lake.table, datetime.now(UTC)))
    if not found:
        return Step("batch", "ops.ingest_ledger", f"{batch_id}: not in the ledger")
    batch = found[0]
    counts = (
        f"{batch.received:,} received, {batch.stored:,} stored, {batch.duplicate:,} duplicate, "
        f"{batch.quarantined:,} quarantined, {batch.suppressed:,} suppressed"
    )
    arrived = f"{batch_id}: {batch.data_type} by {batch.source} at {_time(batch.received_at)}"
    return Step("batch", "ops.ingest_ledger", f"{arrived}: {counts}")


def _place(source_ref: str) -> str:
    place = place_of(source_ref)
    return f"line {place}" if place.isdigit() else place


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"
