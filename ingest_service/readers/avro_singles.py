"""Avro's `float`, whose 32 bits Python widens: 0.1 becomes 0.10000000149011612.

The sender meant the shortest number that these bits stand for, as it has it in a text or in
Parquet. So that is what is read, and a row has the same content however it was sent.
"""

from collections.abc import Set
from typing import Any

import numpy as np


def single_fields(schema: Any) -> frozenset[str]:
    """Return the fields of a record that are `float`, or nothing, by its schema."""
    fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
    return frozenset(field["name"] for field in fields if _is_single(field["type"]))


def with_shortest(record: dict[str, Any], singles: Set[str]) -> dict[str, Any]:
    """Return the record with the shortest number in these fields."""
    for name in singles:
        if isinstance(record.get(name), float):
            record[name] = float(str(np.float32(record[name])))
    return record


def _is_single(kind: Any) -> bool:
    if isinstance(kind, dict):
        kind = kind.get("type")
    if isinstance(kind, list):
        return "double" not in kind and any(_is_single(one) for one in kind)
    return bool(kind == "float")
