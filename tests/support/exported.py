"""Exports as `eta export` writes them, of a few rows, without a lake."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.training.export.checksums import write_checksums

SNAPSHOT = "20260501T120000000Z-97710dd2"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def rows_of(positives: int, negatives: int = 4, seed: int = 1, users: int = 7) -> pa.Table:
    """Positives with sampled negatives, every tenth with an explicit one; `row` numbers them."""
    rng = np.random.default_rng(seed)
    found: list[dict[str, Any]] = []
    for number in range(positives):
        user = f"u{rng.integers(users)}"
        base = {"tenant_id": "acme", "user_id": user, "anchor_item_id": f"i{number}"}
        base |= {"event_time": NOON + timedelta(minutes=int(number * 7))}
        found.append({**base, "item_id": f"i{number}", "draw_index": 0, "label": 1.0})
        for draw in range(1, negatives + 1):
            item = f"j{rng.integers(50)}"
            found.append({**base, "item_id": item, "draw_index": draw, "label": 0.0})
        if number % 10 == 0:
            item = f"d{number}"
            disliked = {"item_id": item, "anchor_item_id": item, "draw_index": 0, "label": 0.0}
            found.append({**base, **disliked})
    schema = pa.schema(
        [
            ("tenant_id", pa.string()),
            ("user_id", pa.string()),
            ("item_id", pa.string()),
            ("anchor_item_id", pa.string()),
            ("draw_index", pa.int32()),
            ("event_time", pa.timestamp("us", tz="UTC")),
            ("label", pa.float64()),
        ]
    )
    table = pa.Table.from_pylist(found, schema)
    return table.append_column("row", pa.array(range(table.num_rows), pa.int64()))


def manifest_of(rows: pa.Table, **changed: Any) -> dict[str, Any]:
    """Return what a manifest says of the rows."""
    positives = sum(rows.column("label").to_pylist())
    return {
        "format": 1,
        "snapshot_id": SNAPSHOT,
        "tenant_id": "acme",
        "created_at": NOON.isoformat(),
        "pinned": {"training.training_data": {"location": "training/training_data", "version": 3}},
        "counts": {
            "positives": int(positives),
            "sampled_negatives": rows.num_rows - int(positives),
            "explicit_negatives": 0,
        },
        "content_hash": hashlib.sha256(str(rows.num_rows).encode()).hexdigest()[:32],
        **changed,
    }


def write_export(
    folder: Path, rows: pa.Table, *, group_rows: int = 40, file_rows: int = 100, **changed: Any
) -> Path:
    """Write an export of the rows: a folder per label, files of `file_rows`; return the folder."""
    for label in (1.0, 0.0):
        is_label = np.asarray(rows.column("label")) == label
        part = rows.filter(pa.array(is_label)).drop_columns(["label"])
        place = folder / "training_data" / "2026-05-01" / f"label={label}"
        for number, start in enumerate(range(0, part.num_rows, file_rows)):
            place.mkdir(parents=True, exist_ok=True)
            piece = part.slice(start, file_rows)
            file = place / f"part-{number:05}.parquet"
            pq.write_table(piece, file, row_group_size=group_rows, compression="zstd")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest_of(rows, **changed)))
    write_checksums(folder)
    return folder
