"""Which schemas the lake has: every folder that holds Delta tables, whoever made them.

An analytics engineer's own models, seeds and snapshots lie in schemas of their own, beside those
of the project. Every session, an erasure and an export have to know them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lakehouse.contracts.tables import SERVICE_TABLES
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import MODEL_LAYERS

if TYPE_CHECKING:
    from deltalake import DeltaTable

SCHEMAS: Final = ("raw", *MODEL_LAYERS, "serving")
"""The schemas of the service and of the project's own models."""

DEFAULT: Final = "default"
"""Spark's schema for what names none; its folder is the warehouse of a Spark that `eta` starts."""

_SERVICE_TABLES: Final = frozenset(spec.full_name for spec in SERVICE_TABLES)
_SERVICE_SCHEMAS: Final = frozenset({"raw", "ops"})
_NO_SCHEMAS: Final = frozenset({"training_sets", "evaluation_sets"})
_NAME: Final = re.compile(r"[a-z0-9_]{1,128}")


def is_name(text: str) -> bool:
    """Whether a folder may be a schema or a table: Spark makes lower-case letters, digits, `_`."""
    return _NAME.fullmatch(text) is not None


def find_tables(lake: Lake) -> dict[str, tuple[str, ...]]:
    """Return schema → tables: the project's schemas, and each other folder with Delta tables.

    Folders whose names are no names of Spark's are left out, and so may stand in a statement.
    """
    found = {}
    for schema in dict.fromkeys((*SCHEMAS, *lake.folder("").folders())):
        if not is_name(schema) or schema in _NO_SCHEMAS:
            continue
        folder = lake.folder(schema)
        tables = tuple(
            name
            for name in folder.folders()
            if is_name(name) and folder.names(f"{name}/_delta_log")
        )
        if tables or schema in SCHEMAS:
            found[schema] = tables
    return found


def written_by_models(lake: Lake) -> Iterator[tuple[str, DeltaTable]]:
    """Yield the name, `schema.table`, and a handle of each table that dbt writes, in any schema.

    Raises `EtaError` that names a table which cannot be read.
    """
    from deltalake.exceptions import DeltaError

    for schema, names in find_tables(lake).items():
        for name in names:
            if f"{schema}.{name}" in _SERVICE_TABLES:
                continue
            try:
                table = lake.find(f"{schema}/{name}")
            except DeltaError as error:
                raise EtaError(
                    f"the table {schema}.{name} cannot be read ({type(error).__name__}), so nobody "
                    "can say who is in it",
                    remedy="repair it or create it again without the feature of Delta that is not "
                    "supported here, or take its folder out of the lake",
                ) from error
            if table is not None:  # else it was dropped meanwhile
                yield f"{schema}.{name}", table


def shown_to_people(schema: str) -> bool:
    """Whether a schema's rows of a person belong into that person's export."""
    return schema not in _SERVICE_SCHEMAS
