"""Checks of what a program gives to the loader: numbers, mappings and tables."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from eta_data.errors import DataError
from eta_data.memory import scalar


def whole(name: str, value: Any, least: int) -> int:
    """Return a whole number that is at least `least`, as a plain int."""
    try:
        found = operator.index(value)
    except TypeError:
        found = least - 1
    if found < least:
        raise DataError(f"{name} is {value!r}", remedy=f"give a whole number from {least} on")
    return found


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Return the mapping that was given, an empty one for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DataError(
            f"{name} is a {type(value).__name__}",
            remedy=f"give a dict, column to value: `{name}={{...}}`",
        )
    return dict(value)


def tenants_table(name: str, table: Any, schema: pa.Schema, tenant: str) -> pa.Table:
    """Return the columns of `schema` of the tenant's rows of a table that was given.

    All rows are the tenant's where no column `tenant_id` says whose they are.
    """
    if not isinstance(table, pa.Table):
        raise DataError(
            f"{name} is a {type(table).__name__}, not a table of pyarrow",
            remedy="give a pyarrow.Table; `pa.Table.from_pandas` makes one of pandas, `to_arrow` "
            "of polars",
        )
    if missing := [column for column in schema.names if column not in table.column_names]:
        raise DataError(
            f"{name} has no column {', '.join(missing)}",
            remedy=f"give a table of {' and '.join(schema.names)}",
        )
    try:
        return _of_tenant(name, table, tenant).select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        types = ", ".join(f"{field.name} {field.type}" for field in schema)
        raise DataError(
            f"{name} has columns of other types: {type(error).__name__}",
            remedy=f"give one with {types}",
        ) from error


def _of_tenant(name: str, table: pa.Table, tenant: str) -> pa.Table:
    if "tenant_id" not in table.column_names or not table.num_rows:
        return table
    own = pc.equal(table.column("tenant_id").cast(pa.string()), scalar(tenant, pa.string()))
    found = table.filter(own)
    if not found.num_rows:
        raise DataError(
            f"{name} has no row of {tenant}",
            remedy="give the table of the tenant whose training set this is",
        )
    return found


def instance(name: str, value: Any, kind: type) -> None:
    """Refuse what is neither None nor of a class of this package."""
    if value is not None and not isinstance(value, kind):
        raise DataError(
            f"{name} is a {type(value).__name__}", remedy=f"give a {kind.__name__} of eta_data"
        )
