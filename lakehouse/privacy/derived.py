"""People's rows in the tables of the models: which tables, how many, and whom to delete.

Only Spark writes these tables, so a dbt operation deletes there (`macros/privacy`). Whom to delete
it reads from a small file in the lake that exists for as long as it runs: a statement's text ends
up in logs.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import DeltaTable, QueryBuilder

from lakehouse.contracts.identifying import USER, identified_by
from lakehouse.contracts.tables import PERSONAL_TABLES, RAW_QUARANTINE
from lakehouse.contracts.tenant import check_owner
from lakehouse.privacy.storage_locations import KEYS_FOLDER
from lakehouse.storage.lake import Lake
from lakehouse.storage.schemas import written_by_models

_RENAMED: Final = "delta.columnMapping.mode"
TENANT: Final = "tenant_id"
PERSONAL_RAW: Final = (*PERSONAL_TABLES, RAW_QUARANTINE)
"""Tables of the service that hold rows of people."""


def derived_tables(lake: Lake) -> dict[str, DeltaTable]:
    """Return the tables that dbt writes and that name people, by `schema.table`.

    Those of the project's models and any of an engineer's own schema: models, seeds, snapshots.
    """
    return {
        name: table
        for name, table in written_by_models(lake)
        if identifying_columns(table) and has_tenants(table)
    }


def tables_without_tenants(lake: Lake) -> list[str]:
    """Return the tables that name people and not their tenant: whose rows they are is not known.

    No erasure can delete there, so one waits while somebody stands in such a table.
    """
    return sorted(
        name
        for name, table in written_by_models(lake)
        if identifying_columns(table) and not has_tenants(table)
    )


def tables_with_renamed_columns(lake: Lake) -> list[str]:
    """Return the tables that name people and whose files have other names for their columns.

    So Delta stores a table with `delta.columnMapping.mode`: a search of its files, those of old
    versions above all, cannot tell which column is whose.
    """
    return sorted(
        name
        for name, table in derived_tables(lake).items()
        if table.metadata().configuration.get(_RENAMED, "none") != "none"
    )


def identifying_columns(table: DeltaTable) -> list[str]:
    """Return the columns that name a person, in any spelling; that of users first."""
    names = [field.name for field in table.schema().fields if identified_by(field.name)]
    return sorted(names, key=lambda name: (identified_by(name) != USER, name))


def has_tenants(table: DeltaTable) -> bool:
    """Whether a table says whose its rows are."""
    return TENANT in {field.name for field in table.schema().fields}


def quoted(column: str) -> str:
    """Return the name of a column as it stands in a statement."""
    return '"' + column.replace('"', '""') + '"'


def table_versions(lake: Lake) -> dict[str, int]:
    """Return the versions of all tables that hold rows of people, by `schema.table`."""
    raw = {spec.full_name: lake.table(spec).version() for spec in PERSONAL_RAW}
    return {**raw, **{name: table.version() for name, table in derived_tables(lake).items()}}


def commit_hashes(lake: Lake, versions: Mapping[str, int]) -> dict[str, str]:
    """Return a hash of the commit that made each version, by `schema.table`.

    Two histories of a table have the same version numbers and never the same commits. Tables whose
    log does not have the commit any more are left out.
    """
    files = lake.filesystem()
    found = {}
    for name, version in versions.items():
        path = f"{name.replace('.', '/', 1)}/_delta_log/{version:020}.json"
        with suppress(FileNotFoundError), files.open_input_stream(path) as stream:
            found[name] = hashlib.sha256(stream.read()).hexdigest()
    return found


def count_rows(
    tables: Mapping[str, DeltaTable], tenant_id: str, requests: Mapping[str, Collection[str]]
) -> dict[str, Counter[str]]:
    """Return table → request → rows of its subjects; `requests` has those of each subject."""
    subjects = pl.DataFrame(
        [(subject, one) for subject, mine in requests.items() for one in mine],
        schema={USER: pl.String, "request_id": pl.String},
        orient="row",
    )
    counted: dict[str, Counter[str]] = {}
    for name, table in tables.items():
        column = quoted(identifying_columns(table)[0])
        text = (
            f"select {column} as {USER}, count(*) as rows from held "  # noqa: S608
            f"where tenant_id = '{check_owner(tenant_id)}' group by {column}"
        )
        counts: Counter[str] = Counter()
        for piece in QueryBuilder().register("held", table).execute(text):
            rows = pl.DataFrame(piece).with_columns(pl.col(USER).cast(pl.String))
            for request, count in (
                rows.join(subjects, on=USER).group_by("request_id").agg(pl.col("rows").sum())
            ).iter_rows():
                counts[request] += count
        counted[name] = counts
    return counted


@contextmanager
def subjects_file(lake: Lake, subjects: Sequence[str], tied: Sequence[str] = ()) -> Iterator[str]:
    """Write subjects to a Parquet file in the lake while the block lasts; yield its location.

    `tied`: anonymous ids that are theirs alone, which name no row of another user.
    """
    files, name = lake.filesystem(), f"{KEYS_FOLDER}/{token_hex(8)}.parquet"
    files.create_dir(KEYS_FOLDER, recursive=True)
    with files.open_output_stream(name) as stream:
        is_tied = [False] * len(subjects) + [True] * len(tied)
        table = pa.table(
            {"subject": pa.array([*subjects, *tied], pa.string()), "is_tied": pa.array(is_tied)}
        )
        pq.write_table(table, stream, write_statistics=False, store_schema=False)
    try:
        yield lake.location(name)
    finally:
        files.delete_file(name)


def drop_subject_files(lake: Lake) -> None:
    """Delete the files that killed processes left; none may be in use."""
    files = lake.filesystem()
    for info in files.get_file_info(pafs.FileSelector(KEYS_FOLDER, allow_not_found=True)):
        files.delete_file(info.path)
