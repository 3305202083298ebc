"""How an export of a snapshot is opened: a few lines per tool, executed by the test suite."""

from __future__ import annotations

from typing import Final, NamedTuple

from lakehouse.training.manifest import Manifest

FOLDER: Final = "EXPORT"
"""Stands for the folder of the export in the lines below."""


class Loading(NamedTuple):
    """The lines for one tool; `rows` is a table, or what collects into one."""

    tool: str
    code: str


IN_PARQUET: Final = (
    Loading(
        "polars",
        f"""\
import polars as pl

files = "{FOLDER}/training_data/"
rows = pl.scan_parquet(files, hive_partitioning=True, hive_schema={{"label": pl.Float64}})
print(rows.head().collect())
""",
    ),
    Loading(
        "DuckDB",
        f"""\
import duckdb

files = "{FOLDER}/training_data/*/*/*.parquet"
rows = duckdb.sql(f"from read_parquet('{{files}}', hive_types = {{{{'label': double}}}})")
print(rows.limit(5))
""",
    ),
    Loading(
        "pandas",
        f"""\
import pandas as pd

rows = pd.read_parquet("{FOLDER}/training_data/")
rows["label"] = rows["label"].astype(float)  # it is in the folders' names
print(rows.head())
""",
    ),
)
IN_HUGGING_FACE: Final = (
    Loading(
        "datasets",
        f"""\
from datasets import load_dataset

rows = load_dataset("{FOLDER}")["train"]
print(rows.features)
print(rows[0])
""",
    ),
)


def export_command(manifest: Manifest, format_name: str) -> str:
    """Return what a person types to make the export that the lines open."""
    which = f"--tenant {manifest.tenant_id} --snapshot {manifest.snapshot_id}"
    features = " --features all" if manifest.example_files is not None else ""
    return f"eta export {which} --format {format_name}{features} --to {FOLDER}"
