"""Both exports that the examples read, in their default places, without a lake's tables.

Users of two groups take the items of their group in turn, so that what comes next is known.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SNAPSHOT = "20260501T120000000Z-97710dd2"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
USERS, ITEMS, TAKEN = 40, 24, 8
"""Each user takes eight of their group's twelve items: six to train on, two to predict."""
HISTORY = 50
_PARTS = {6: "validation", 7: "test"}


def write_home(home: Path, tenant: str = "acme") -> Path:
    """Write a home with both exports; return the folder of its lake."""
    rows = list(_rows(tenant))
    sampled = [
        {**row, "item_id": f"i{(n * 7) % ITEMS}", "label": 0.0, "draw_index": 1}
        for n, row in enumerate(rows)
    ]
    exports = home / "exports" / tenant
    training = exports / f"{SNAPSHOT}-parquet-all-history-{HISTORY}"
    for label, part in ((1.0, rows), (0.0, sampled)):
        _write(
            training / "training_data" / "2026-05-01" / f"label={label}", part, {"label", "split"}
        )
    counts = {"positives": len(rows), "sampled_negatives": len(sampled), "explicit_negatives": 0}
    _manifest(home, tenant, "training", training, {"counts": counts})

    evaluation = exports / f"{SNAPSHOT}-evaluation-parquet"
    leave_out = {
        "label",
        "split",
        *(name for name in rows[0] if "history" in name or "count" in name),
    }
    for split in ("train", "validation", "test"):
        part = [row for row in rows if row["split"] == split]
        place = evaluation / "evaluation_data" / "2026-05-01" / f"split={split}" / "label=1.0"
        _write(place, part, leave_out)
    counts = {"positives": USERS * 6, "sampled_negatives": 0, "explicit_negatives": 0}
    held_out = {"validation": USERS, "test": USERS}
    about = {"counts": counts, "split": {"method": "leave_one_out"}, "held_out": held_out}
    _manifest(home, tenant, "evaluation", evaluation, about)
    return home / "lake"


def _rows(tenant: str) -> Any:
    for user in range(USERS):
        before: list[tuple[str, str]] = []
        for number in range(TAKEN):
            item = f"i{2 * ((user // 2 + number) % (ITEMS // 2)) + user % 2}"
            before.append((item, "view"))
            yield {
                "tenant_id": tenant,
                "user_id": f"u{user}",
                "item_id": item,
                "anchor_item_id": item,
                "draw_index": 0,
                "event_time": NOON + timedelta(hours=number, minutes=user),
                "label": 1.0,
                "split": _PARTS.get(number, "train"),
                "user_view_count": len(before) or None,
                "item_positive_count": None if number == 0 else number,
                "item_category": "odd" if user % 2 else "even",
                "history_item_ids": [one for one, _ in before],
                "history_interaction_types": [kind for _, kind in before],
            }
            before.append((item, "like"))


def _write(folder: Path, rows: list[dict[str, Any]], without: set[str]) -> None:
    folder.mkdir(parents=True)
    kept = [name for name in _SCHEMA.names if name not in without]
    schema = pa.schema([_SCHEMA.field(name) for name in kept])
    rows = sorted(rows, key=lambda row: row["event_time"])
    table = pa.Table.from_pylist([{name: row[name] for name in kept} for row in rows], schema)
    pq.write_table(table, folder / "part-00000.parquet")


def _manifest(home: Path, tenant: str, kind: str, export: Path, about: dict[str, Any]) -> None:
    document = {
        "format": 1,
        "snapshot_id": SNAPSHOT,
        "tenant_id": tenant,
        "content_hash": "0" * 32,
        "pinned": {},
        "parameters": {"positive_types": ["click", "like", "purchase"]},
        **about,
    }
    text = json.dumps(document)
    (export / "manifest.json").write_text(text)
    current = home / "lake" / f"{kind}_sets" / tenant / "current.json"
    current.parent.mkdir(parents=True, exist_ok=True)
    current.write_text(text)


_SCHEMA = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("anchor_item_id", pa.string()),
        ("draw_index", pa.int32()),
        ("event_time", pa.timestamp("us", tz="UTC")),
        ("user_view_count", pa.int64()),
        ("item_positive_count", pa.int64()),
        ("item_category", pa.string()),
        ("history_item_ids", pa.list_(pa.string())),
        ("history_interaction_types", pa.list_(pa.string())),
    ]
)
