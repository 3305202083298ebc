"""Hides rows of a Delta table with a deletion vector, as a MERGE of Spark does, without Spark.

The vector stands inline in the log (https://github.com/delta-io/delta/blob/master/PROTOCOL.md):
a magic number, then 32-bit roaring bitmaps by their high bits, as Z85 text.
"""

import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable

from lakehouse.storage.lake import Lake
from lakehouse.storage.overview import OVERVIEW_TABLES
from tests.support.lake import SessionLake

_MAGIC = 1681511377
_NO_RUNS = 12346
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def count_marked(lake: SessionLake) -> int:
    """Count the files of the models' tables that have a deletion vector."""
    opened = Lake(lake.settings)
    return sum(
        pl.DataFrame(opened.table(path).deletion_vectors().read_all()).height
        for path in OVERVIEW_TABLES
        if not path.startswith("raw/")
    )


def hide_rows(location: Path, hidden: int, *, with_statistics: bool = True) -> int:
    """Hide the first rows of each file, at most `hidden` in each; return how many went.

    Without statistics, the files' own counts are taken out of the log as well.
    """
    table = DeltaTable(location)
    adds = [add for add in _live_adds(location) if "deletionVector" not in add]
    features = ["deletionVectors"]
    writer = [*features, "appendOnly", "invariants", "changeDataFeed"]
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
    actions: list[dict[str, Any]] = [
        {"protocol": {**protocol, "readerFeatures": features, "writerFeatures": writer}}
    ]
    gone = 0
    for add in adds:
        statistics = json.loads(add["stats"])
        rows = range(min(hidden, statistics["numRecords"]))
        gone += len(rows)
        if rows:  # the same file without a vector would be removed
            actions.append(_removed(add))
        if not with_statistics:
            add = {name: value for name, value in add.items() if name != "stats"}
        hiding = {"deletionVector": vector(rows)} if rows else {}
        actions.append({"add": {**add, **hiding, "dataChange": True}})
    name = f"{table.version() + 1:020}.json"
    (location / "_delta_log" / name).write_text("\n".join(map(json.dumps, actions)) + "\n")
    return gone


def _live_adds(location: Path) -> list[dict[str, Any]]:
    """Read the log's JSON files; the tables of tests have no checkpoint."""
    live: dict[str, dict[str, Any]] = {}
    for file in sorted((location / "_delta_log").glob("*.json")):
        for line in file.read_text().splitlines():
            action = json.loads(line)
            if "remove" in action:
                live.pop(action["remove"]["path"], None)
            if "add" in action:
                live[action["add"]["path"]] = action["add"]
    return list(live.values())


def _removed(add: dict[str, Any]) -> dict[str, Any]:
    kept = {name: add[name] for name in ("path", "partitionValues", "size")}
    return {
        "remove": {**kept, "extendedFileMetadata": True, "deletionTimestamp": 0, "dataChange": True}
    }


def vector(rows: Sequence[int]) -> dict[str, Any]:
    """Return the vector that hides rows, by position in order, for the `add` of a file."""
    bitmap = struct.pack("<IIHHI", _NO_RUNS, 1, 0, len(rows) - 1, 16)
    bitmap += struct.pack(f"<{len(rows)}H", *rows)
    whole = struct.pack("<IQI", _MAGIC, 1, 0) + bitmap
    return {
        "storageType": "i",
        "pathOrInlineDv": _z85(whole),
        "sizeInBytes": len(whole),
        "cardinality": len(rows),
    }


def _z85(data: bytes) -> str:
    padded = data + b"\0" * (-len(data) % 4)
    return "".join(_five(padded[at : at + 4]) for at in range(0, len(padded), 4))


def _five(four: Iterable[int]) -> str:
    number = int.from_bytes(bytes(four), "big")
    return "".join(_Z85[number // 85**power % 85] for power in reversed(range(5)))
