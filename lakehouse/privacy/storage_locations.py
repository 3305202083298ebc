"""Every file in which a person of a tenant may stand: the lake's, and those of this machine.

Files of other tenants are left out: identifiers belong to a tenant, and the same text may be
another one's user. So is what a local Kafka keeps, which only its retention deletes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow.fs as pafs

from lakehouse.storage.acknowledged import FOLDER as ACKNOWLEDGED
from lakehouse.storage.lake import Lake
from lakehouse.storage.schemas import SCHEMAS, find_tables

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

DATA: Final = "data file"
CHANGES: Final = "change data"
LOG: Final = "table log"
KEYS: Final = "erasure key"
FILE: Final = "file"
UPLOAD: Final = "upload"
EXPORT: Final = "export"
PROGRAM_LOG: Final = "program log"
DATABASE: Final = "database"
REDIS: Final = "redis"

KEYS_FOLDER: Final = "ops/erasure_keys"
_OF_TENANTS: Final = ("training_sets", "evaluation_sets", "ops/upload_findings")
_NOT_OURS: Final = ("dev",)
"""Folders of the home that hold other programs' data: servers for development."""


@dataclass(frozen=True, slots=True)
class StorageLocation:
    """A file; `table` is the Delta table that it belongs to, as a path in the lake."""

    kind: str
    path: str
    open: Callable[[], IO[bytes]] = field(repr=False)
    table: str | None = None

    @property
    def has_rows(self) -> bool:
        """Whether it can hold rows of people; other files can only mention them."""
        return self.kind in (DATA, CHANGES, KEYS, EXPORT, UPLOAD)


def lake_locations(lake: Lake, tenant_id: str) -> Iterator[StorageLocation]:
    """Yield the files of the lake that may be about the tenant's people."""
    files = lake.filesystem()
    own = frozenset(
        f"{schema}/{name}" for schema, names in find_tables(lake).items() for name in names
    )
    for path in lake.files():
        if _is_of_another(path, tenant_id):
            continue
        table = _table_of(path, own)
        yield StorageLocation(_kind(path, table), path, _opener(files, path), table)


def machine_locations(
    settings: LakeSettings, tenant_id: str, uploads: Mapping[str, str] | None = None
) -> Iterator[StorageLocation]:
    """Yield this machine's files beside the lake: uploads, exports, logs, what dbt writes.

    `uploads`: name → tenant of spooled files, of which other tenants' are left out.
    """
    home, lake = settings.home_dir, settings.lake
    roots = [home, settings.dbt_target_dir, settings.dbt_log_dir]
    seen: set[Path] = set()
    for root in roots:
        for path in _files_below(root):
            if path in seen or str(path).startswith(f"{lake}/"):
                continue
            seen.add(path)
            if path.is_relative_to(settings.spool_dir) and (
                (uploads or {}).get(path.name, tenant_id) != tenant_id
            ):
                continue
            place = _machine_place(settings, path, tenant_id)
            if place is not None:
                yield place


def is_dbt_output(settings: LakeSettings, path: str) -> bool:
    """Whether a file is dbt's: each run rewrites these.

    A failed statement's message may quote a value of a row, so logs and results can name a person.
    """
    folders = (settings.dbt_target_dir, settings.dbt_log_dir)
    return Path(path).is_absolute() and any(map(Path(path).is_relative_to, folders))


def _machine_place(settings: LakeSettings, path: Path, tenant_id: str) -> StorageLocation | None:
    home = settings.home_dir
    inside = path.relative_to(home).parts if path.is_relative_to(home) else ()
    if inside[:1] == ("exports",) and len(inside) > 2:
        kind = EXPORT
        if inside[1] != tenant_id:
            return None
    elif path.is_relative_to(settings.spool_dir):
        kind = UPLOAD
    elif inside and inside[0] in _NOT_OURS:
        if path.suffix != ".log":
            return None
        kind = PROGRAM_LOG
    elif _is_database(settings, path):
        kind = DATABASE
    else:
        kind = FILE if inside else PROGRAM_LOG
    if kind == DATABASE:
        return StorageLocation(kind, str(path), lambda: _read_elsewhere(path))
    return StorageLocation(kind, str(path), lambda: path.open("rb"))


_TO_STDOUT: Final = (
    "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)"
)


def _read_elsewhere(path: Path) -> IO[bytes]:
    """Return a copy, without a name, of a file of SQLite's, read by a process of its own.

    A process that closes a file loses every lock that it has on it, SQLite's among them: the next
    one to close the database would take itself for the last, and delete the write-ahead log under
    everybody else (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    copy = TemporaryFile(dir=path.parent)  # noqa: SIM115 - the caller closes it
    command = [sys.executable, "-S", "-c", _TO_STDOUT, str(path)]
    done = subprocess.run(command, stdout=copy, stderr=subprocess.DEVNULL, check=False)
    if done.returncode:
        copy.close()
        raise FileNotFoundError(path)
    copy.seek(0)
    return copy


def _is_database(settings: LakeSettings, path: Path) -> bool:
    url = settings.control_url
    prefix = "sqlite:///"
    return url.startswith(prefix) and str(path).startswith(url.removeprefix(prefix))


def _files_below(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in names:
            yield Path(folder, name)


def _table_of(path: str, own: frozenset[str]) -> str | None:
    """Return the path of the table that a file is in; `own` are those that have a log."""
    schema, *rest = path.split("/")
    if len(rest) < 2:
        return None
    table = f"{schema}/{rest[0]}"
    is_table = table in own or (schema in SCHEMAS and table not in _FOLDERS)
    return table if is_table else None


_FOLDERS: Final = (KEYS_FOLDER, "ops/upload_findings", ACKNOWLEDGED)


def _kind(path: str, table: str | None) -> str:
    if path.startswith(f"{KEYS_FOLDER}/"):
        return KEYS
    if table is None:
        return FILE
    if path.startswith(f"{table}/_delta_log/"):
        return LOG
    return CHANGES if path.startswith(f"{table}/_change_data/") else DATA


def _is_of_another(path: str, tenant_id: str) -> bool:
    for part in path.split("/"):
        if part.startswith("tenant_id=") and part != f"tenant_id={tenant_id}":
            return True
    return any(
        path.startswith(f"{folder}/") and not path.startswith(f"{folder}/{tenant_id}/")
        for folder in _OF_TENANTS
    )


def _opener(files: pafs.FileSystem, path: str) -> Callable[[], Any]:
    return lambda: files.open_input_file(path)
