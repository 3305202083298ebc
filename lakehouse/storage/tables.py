"""Opening and creating the tables that the ingestion service writes.

Imported by every dbt start-up, so it imports deltalake only when a table has to be opened or made.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakehouse.contracts.tables import RAW_TABLES, SERVICE_TABLES, TableSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from deltalake import DeltaTable

    from lakehouse.settings import LakeSettings

LOG_RETENTION: Final = "interval 30 days"
MODEL_LAYERS: Final = ("staging", "features", "training", "evaluation", "ops")


def table_location(settings: LakeSettings, spec: TableSpec) -> str:
    """Return the absolute path or URL of a table."""
    return f"{settings.lake}/{spec.path}"


def table_properties(spec: TableSpec) -> dict[str, str]:
    """Return the Delta properties of a table.

    `delta.dataSkippingStatsColumns` keeps the values of every other column, identifiers above
    all, out of `_delta_log`, from where no DELETE would remove them.
    """
    properties = {
        "delta.enableDeletionVectors": "false",
        "delta.dataSkippingStatsColumns": ",".join(spec.stats_columns),
        "delta.logRetentionDuration": LOG_RETENTION,
        "delta.setTransactionRetentionDuration": LOG_RETENTION,
    }
    if spec.has_change_feed:
        properties["delta.enableChangeDataFeed"] = "true"
    return properties


def ensure_tables(settings: LakeSettings) -> None:
    """Create the tables that are missing, empty; add columns that tables of old releases lack.

    Rows stored before have nulls in an added column. Safe when several processes do it at once:
    each table is created by one of them. For a local lake whose tables all exist this costs one
    file look-up per table.
    """
    for spec in SERVICE_TABLES:
        if not _surely_exists(settings, spec):
            _create(settings, spec)
        if spec.added_columns and not _surely_has_columns(settings, spec):
            _add_columns(settings, spec)


def open_table(settings: LakeSettings, spec: TableSpec) -> DeltaTable:
    """Return a handle on the newest version of a table, which must exist."""
    return open_path(settings, spec.path)


def open_path(settings: LakeSettings, path: str) -> DeltaTable:
    """Return a handle on the table at a path of the lake, whoever writes it."""
    from deltalake import DeltaTable

    return DeltaTable(f"{settings.lake}/{path}", storage_options=settings.storage_options)


def tables_in(
    settings: LakeSettings, layers: Sequence[str], without: Collection[str] = ()
) -> Iterator[tuple[str, DeltaTable]]:
    """Yield the name, `schema.table`, and a handle of each table in these schemas but some."""
    from deltalake.exceptions import TableNotFoundError

    from lakehouse.storage.objects import open_folder

    for layer in layers:
        for folder in open_folder(settings, layer).folders():
            name = f"{layer}.{folder}"
            if name in without:
                continue
            try:
                table = open_path(settings, f"{layer}/{folder}")
            except TableNotFoundError:  # a folder of something else
                continue
            yield name, table


def model_tables(
    settings: LakeSettings, layers: Sequence[str] = MODEL_LAYERS
) -> Iterator[tuple[str, DeltaTable]]:
    """Yield the name and a handle of each table that the models write."""
    return tables_in(settings, layers, {spec.full_name for spec in SERVICE_TABLES})


def table_opener(settings: LakeSettings) -> Callable[[TableSpec], DeltaTable]:
    """Return a function that opens each table once and then returns the same handle."""
    handles: dict[str, DeltaTable] = {}

    def table(spec: TableSpec) -> DeltaTable:
        if spec.full_name not in handles:
            handles[spec.full_name] = open_table(settings, spec)
        return handles[spec.full_name]

    return table


def raw_bytes_of_log(settings: LakeSettings) -> int:
    """Return the bytes of the raw tables' files, as their logs say; 0 before there are any."""
    from deltalake.exceptions import TableNotFoundError

    total = 0
    for spec in RAW_TABLES.values():
        try:
            sizes = open_table(settings, spec).get_add_actions()["size_bytes"].to_pylist()
        except TableNotFoundError:
            continue
        total += sum(sizes)
    return total


def _surely_exists(settings: LakeSettings, spec: TableSpec) -> bool:
    if not settings.is_local:
        return False
    log = Path(table_location(settings, spec)) / "_delta_log"
    return (log / f"{0:020}.json").exists() or (log / "_last_checkpoint").exists()


def _surely_has_columns(settings: LakeSettings, spec: TableSpec) -> bool:
    """Whether a local table was created with the columns; costs one small file."""
    if not settings.is_local:
        return False
    first = Path(table_location(settings, spec)) / "_delta_log" / f"{0:020}.json"
    try:
        text = first.read_text("utf-8")
    except FileNotFoundError:
        return False
    return all(f'\\"name\\":\\"{name}\\"' in text for name in spec.added_columns)


def _add_columns(settings: LakeSettings, spec: TableSpec) -> None:
    from deltalake import Schema
    from deltalake.exceptions import DeltaError

    def lacking() -> list[str]:
        held = {field.name for field in open_table(settings, spec).schema().fields}
        return [name for name in spec.added_columns if name not in held]

    try:
        names = lacking()
    except DeltaError:  # damaged: whoever needs the table says so, the others go on
        return
    if not names:
        return
    fields = Schema.from_arrow(spec.schema).fields
    added = [field for field in fields if field.name in names]
    try:
        open_table(settings, spec).alter.add_columns(added)
    except DeltaError:
        if lacking():  # else another process was faster
            raise


def _create(settings: LakeSettings, spec: TableSpec) -> None:
    from deltalake import CommitProperties, DeltaTable
    from deltalake.exceptions import DeltaError

    location = table_location(settings, spec)
    if settings.is_local:
        Path(location).mkdir(parents=True, exist_ok=True)
    try:
        DeltaTable.create(
            location,
            spec.schema,
            mode="ignore",
            partition_by=list(spec.partition_by),
            configuration=table_properties(spec),
            storage_options=settings.storage_options,
            # A retry would commit a second creation, with another table id, as version 1.
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except DeltaError:
        if not DeltaTable.is_deltatable(location, settings.storage_options):
            raise
