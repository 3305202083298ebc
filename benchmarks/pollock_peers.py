"""Other readers of CSV files, by their own detection of how a file is written."""

import csv
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl

Table = tuple[tuple[str, ...], list[tuple[str, ...]], int]
"""Header, rows, and how many rows were set aside."""
Reader = Callable[[Path, dict[str, Any]], Table]
"""Reads a file; the parameters that its suite has of it are for those who are given them."""

PEERS_REFUSALS: Final = (
    *(csv.Error, UnicodeDecodeError, pl.exceptions.PolarsError, duckdb.Error),
    *(TypeError, ValueError),  # clevercsv, where it found no dialect
)
_SAMPLE: Final = 64 * 1024


def peers() -> dict[str, Reader]:
    """Return the readers that are installed, by name."""
    found = {"Python csv": _python, "polars": _polars, "DuckDB": _duckdb}
    return found | ({"clevercsv": _clevercsv} if find_spec("clevercsv") else {})


def _python(path: Path, said: dict[str, Any]) -> Table:  # noqa: ARG001
    with path.open(newline="", encoding="utf-8") as file:
        try:
            dialect: Any = csv.Sniffer().sniff(file.read(_SAMPLE))
        except csv.Error:
            dialect = csv.excel
        file.seek(0)
        return _table(csv.reader(file, dialect))


def _clevercsv(path: Path, said: dict[str, Any]) -> Table:  # noqa: ARG001
    return _table(import_module("clevercsv").read_table(str(path), encoding="utf-8"))


def _polars(path: Path, said: dict[str, Any]) -> Table:  # noqa: ARG001
    frame = pl.read_csv(path, infer_schema=False)
    return tuple(frame.columns), [tuple(cell or "" for cell in row) for row in frame.rows()], 0


def _duckdb(path: Path, said: dict[str, Any]) -> Table:  # noqa: ARG001
    with duckdb.connect() as connection:
        found = connection.read_csv(str(path), all_varchar=True)
        rows = [tuple(cell or "" for cell in row) for row in found.fetchall()]
        return tuple(found.columns), rows, 0


def _table(records: Any) -> Table:
    rows = [tuple(record) for record in records]
    return (rows[0], rows[1:], 0) if rows else ((), [], 0)
