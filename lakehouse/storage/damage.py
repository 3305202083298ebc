"""Finds what is damaged in a table, names it with a remedy, and reads what is left.

A data file that is missing or cut off concerns its tenant alone; a log entry concerns the table.
Whoever reads many tenants at once reads on without the one, and reports it.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lakehouse.contracts.tables import TableSpec
from lakehouse.errors import EtaError
from lakehouse.storage.durable import HINT, LOG
from lakehouse.storage.faults import StorageError
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import query
from lakehouse.storage.stores import table_filesystem

if TYPE_CHECKING:
    import pyarrow.fs as pafs

RESTORE: Final = (
    "put it back from a backup; if there is none, `eta tables repair` takes it out of the table "
    "(look first with --dry-run), and `eta ledger check` then lists the batches to send again"
)
WAIT: Final = "put the storage right; the table is looked at again with the next request"
_ENTRY: Final = re.compile(r"(\d{20})\.json")


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that cannot be used; `tenant_id` is None where it concerns the whole table."""

    table: str
    tenant_id: str | None
    file: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        owner = "" if self.tenant_id is None else f" of tenant {self.tenant_id}"
        return f"{self.table}: {self.file}{owner} {self.problem}"


class DamagedError(StorageError):
    """A file of a table is damaged; the message names it, the table and the tenant."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(str(damage), remedy=damage.remedy)
        self.damage = damage


def damaged_file(spec: TableSpec, tenant_id: str | None, path: str, error: Exception) -> Damage:
    """Return the damage of a data file that could not be read."""
    is_missing = isinstance(error, FileNotFoundError)
    problem = "is missing" if is_missing else f"cannot be read ({type(error).__qualname__})"
    return Damage(spec.full_name, tenant_id, path, problem, RESTORE)


def log_damage(lake: Lake, spec: TableSpec, error: Exception) -> Damage:
    """Return what is damaged in the log of a table that cannot be opened."""
    name, problem, remedy = LOG, f"cannot be read ({type(error).__qualname__})", WAIT
    log = lake.disk(f"{spec.path}/{LOG}")
    found = None if log is None else _first_damage(log)
    if found is not None:
        name, problem, remedy = f"{LOG}/{found[0]}", found[1], RESTORE
    return Damage(spec.full_name, None, name, problem, remedy)


def torn_entry(log: Path) -> Path | None:
    """Return the newest entry of a log if it is cut off: a crash or a power cut did that."""
    entries = _entries(log)
    if entries and not _is_whole(entries[-1]):
        return entries[-1]
    return None


def readable_rows(
    table: DeltaTable, spec: TableSpec, columns: str, tenant_id: str | None, rest: str = "true"
) -> tuple[pl.DataFrame, list[Damage]]:
    """Run a query as `ledger.query` does; without the files that cannot be read, which it names.

    The texts must be the program's own, and such that both DataFusion and polars know them.
    """
    try:
        return query(table, columns, tenant_id, rest), []
    except EtaError:
        raise
    except Exception as error:
        files = table_filesystem(table)
        frames, damage = [], []
        for path, tenant, day in _live(table, tenant_id):
            try:
                rows = _columns(files, spec, path, f"{columns} {rest}")
            except Exception as failure:  # noqa: BLE001 - whatever it is, the others are readable
                damage.append(damaged_file(spec, tenant, path, failure))
                continue
            partition = (pl.lit(tenant).alias("tenant_id"), pl.lit(day).alias("ingest_date"))
            frames.append(rows.with_columns(*partition))
        if not damage:
            raise DamagedError(
                Damage(
                    spec.full_name, None, "a query", f"failed ({type(error).__qualname__})", WAIT
                )
            ) from error
        empty = pl.DataFrame(spec.schema.empty_table())
        found = pl.concat(
            [empty.select(_named(spec, f"{columns} {rest}")), *frames], how="diagonal"
        )
        where = "" if tenant_id is None else f"tenant_id = '{tenant_id}' and "
        text = f"select {columns} from found where {where}{rest}"  # noqa: S608
        return pl.SQLContext(found=found).execute(text, eager=True), damage


def damaged_files(spec: TableSpec, table: DeltaTable) -> list[Damage]:
    """Return the live files of a table that are missing, or whose end cannot be read."""
    files, found = table_filesystem(table), []
    for path, tenant, _ in _live(table, None):
        try:
            with files.open_input_file(path) as source:
                pq.ParquetFile(source)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not readable
            found.append(damaged_file(spec, tenant, path, error))
    return found


def _live(table: DeltaTable, tenant_id: str | None) -> list[tuple[str, str, object]]:
    adds = pl.DataFrame(table.get_add_actions(flatten=True))
    if not adds.height:
        return []
    if tenant_id is not None:
        adds = adds.filter(pl.col("partition.tenant_id") == tenant_id)
    columns = ["path", "partition.tenant_id", "partition.ingest_date"]
    return [(unquote(path), tenant, day) for path, tenant, day in adds.select(columns).iter_rows()]


def _named(spec: TableSpec, text: str) -> list[str]:
    """Return the columns of a table that a query names."""
    words = set(re.findall(r"\w+", text))
    return [name for name in spec.schema.names if name in words or name in spec.partition_by]


def _columns(files: pafs.FileSystem, spec: TableSpec, path: str, text: str) -> pl.DataFrame:
    names = [name for name in _named(spec, text) if name not in spec.partition_by]
    with files.open_input_file(path) as source:
        return pl.DataFrame(pq.ParquetFile(source).read(columns=names))


def _first_damage(log: Path) -> tuple[str, str] | None:
    """Return the name and the fault of the first file of a log that is damaged."""
    version, first = 0, 0
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        version = int(json.loads((log / HINT).read_bytes())["version"])
        parts = sorted(log.glob(f"{version:020}.checkpoint*.parquet"))
        if not parts:
            return HINT, f"names the checkpoint of version {version}, which is missing"
        for part in parts:
            try:
                pq.ParquetFile(part)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is not readable
                return part.name, f"cannot be read ({type(error).__qualname__})"
        first = version + 1  # the checkpoint stands for the entries up to its own
    entries = [path for path in _entries(log) if int(path.stem) >= first]
    for number, path in enumerate(entries, first):
        if int(path.stem) != number:
            return f"{number:020}.json", "is missing"
        if not _is_whole(path):
            return path.name, "is cut off or damaged" if path.stat().st_size else "is empty"
    return None


def _entries(log: Path) -> list[Path]:
    return sorted(path for path in log.glob("*.json") if _ENTRY.fullmatch(path.name))


def _is_whole(path: Path) -> bool:
    try:
        lines = path.read_bytes().splitlines()
        return bool([json.loads(line) for line in lines])
    except ValueError:
        return False
