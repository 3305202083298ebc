"""The handle of the lake: where it is, and how its tables, folders and files are reached.

Whoever works with the lake is given this, and asks for what it needs (`disk`, `sync_root`,
`needs_one_spark`, …) instead of asking where the lake is. A handle opens nothing and costs
nothing; every command and dbt start imports it, so its methods import what is heavy.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.errors import EtaError
from lakehouse.storage.stores import disk_path, filesystem_at, object_store

if TYPE_CHECKING:
    import pyarrow.fs as pafs
    from deltalake import DeltaTable

    from lakehouse.contracts.tables import TableSpec
    from lakehouse.settings import LakeSettings
    from lakehouse.storage.objects import ObjectFolder


class Lake:
    """One lake, as this process reaches it; for several threads.

    A table is named by its `TableSpec`, its path (`raw/items`) or its name (`raw.items`). Raises
    `EtaError` for a URL of an unknown object store.
    """

    def __init__(self, settings: LakeSettings) -> None:
        self._settings = settings
        self._disk = disk_path(settings.lake)
        self._store = object_store(settings.lake) if self._disk is None else None
        configured = settings.storage_options
        self.options = self._store.with_options(configured) if self._store else configured

    @property
    def home(self) -> Path:
        """Folder of this machine's files beside the lake: locks, reports, exports, the spool."""
        return self._settings.home_dir

    def location(self, path: TableSpec | str = "") -> str:
        """Return the absolute path or URL of a path of the lake, or of a table."""
        path = path if isinstance(path, str) else path.path
        return f"{self._settings.lake}/{path}" if path else self._settings.lake

    def uri(self, path: str = "") -> str:
        """Return where a path of the lake lies as a URL, which is how Spark spells it."""
        location = self.location(path)
        return location if self._disk is None else Path(location).as_uri()

    def disk(self, path: TableSpec | str = "") -> Path | None:
        """Return the folder or file of this machine that a path is; None in an object store."""
        return None if self._disk is None else Path(self.location(path))

    @property
    def sync_root(self) -> Path | None:
        """The folder whose files are synced before rows count as stored (`ETA_SYNC`).

        None where that is off, and in an object store, which answers once it has stored.
        """
        return self._disk if self._settings.sync else None

    @property
    def needs_one_spark(self) -> bool:
        """Whether all Spark jobs go through one server: its commits are safe in one JVM only."""
        return self._store is not None and self._store.needs_one_spark

    @property
    def has_tiers(self) -> bool:
        """Whether files can be moved to cheaper storage by rules (`eta retention`)."""
        return self._store is not None and self._store.has_tiers

    def spark_settings(self) -> dict[str, str]:
        """Return what a Spark of `eta` needs to reach the lake, none for a folder.

        They hold the credentials of `ETA_STORAGE_OPTIONS` if it has any: for files that the owner
        alone may read. Raises `EtaError` for a store that `eta` has no jars for.
        """
        if self._store is None:
            return {}
        if self._store.spark_settings is None:
            raise EtaError(
                f"eta cannot start a Spark that reads {self._store.name}",
                remedy="start a Spark server with the connector of that store, then use it with "
                "DBT_TARGET=connect (ETA_SPARK_REMOTE its address) or DBT_TARGET=thrift",
            )
        return self._store.spark_settings(self._settings.storage_options)

    def table(self, table: TableSpec | str, version: int | None = None) -> DeltaTable:
        """Return a handle on a version of a table, the newest by default; raises as delta-rs does.

        `functools.cache` of this method opens each table once.
        """
        from deltalake import DeltaTable

        path = table if isinstance(table, str) else table.path
        path = path if "/" in path else path.replace(".", "/")
        return DeltaTable(self.location(path), version=version, storage_options=self.options)

    def find(self, table: TableSpec | str) -> DeltaTable | None:
        """Return a handle on the newest version of a table; None where there is no table."""
        from deltalake.exceptions import TableNotFoundError

        try:
            return self.table(table)
        except TableNotFoundError:
            return None

    def intact(self, spec: TableSpec) -> DeltaTable:
        """Return a handle on a table; raises `DamagedError`, which names the damaged log entry."""
        from lakehouse.storage.damage import DamagedError, log_damage

        try:
            return self.table(spec)
        except EtaError:
            raise
        except Exception as error:
            raise DamagedError(log_damage(self, spec, error)) from error

    def built(self, name: str) -> DeltaTable:
        """Return the newest version of a model's table; raise `EtaError` before its first build."""
        if (table := self.find(name)) is None:
            raise EtaError(f"{name} does not exist yet", remedy="run `eta prepare`")
        return table

    def tables(
        self, schemas: Sequence[str], without: Collection[str] = ()
    ) -> Iterator[tuple[str, DeltaTable]]:
        """Yield the name, `schema.table`, and a handle of each table in these schemas but some."""
        for schema in schemas:
            for folder in self.folder(schema).folders():
                name = f"{schema}.{folder}"
                if name not in without and (table := self.find(name)) is not None:
                    yield name, table

    def raw_bytes(self) -> int:
        """Return the bytes of the raw tables' files, about; 0 before there are any."""
        if self._disk is not None:  # without delta-rs: each start of dbt asks
            files = self._disk.glob("raw/*/tenant_id=*/ingest_date=*/*.parquet")
            return sum(file.stat().st_size for file in files)
        from lakehouse.contracts.tables import RAW_TABLES

        tables = filter(None, map(self.find, RAW_TABLES.values()))
        return sum(sum(table.get_add_actions()["size_bytes"].to_pylist()) for table in tables)

    def folder(self, path: str = "") -> ObjectFolder:
        """Return a folder of small files in the lake; it need not exist yet."""
        return self.folder_at(self.location(path))

    def folder_at(self, location: str) -> ObjectFolder:
        """Return a folder of this machine or of a store that the lake's options reach."""
        from lakehouse.storage.objects import LocalFolder, StoreFolder

        if (folder := disk_path(location)) is not None:
            return LocalFolder(folder)
        return StoreFolder(filesystem_at(location, self.options))

    def filesystem(self, path: str = "") -> pafs.FileSystem:
        """Return a file system whose root is a path of the lake; it need not exist yet."""
        return filesystem_at(self.location(path), self.options)

    def files(self) -> Iterator[str]:
        """Yield the path of every file of the lake; one may be gone by then."""
        if self._disk is not None:  # pyarrow looks at each file, and fails when one is gone
            for folder, _, names in os.walk(self._disk):
                for name in names:
                    yield Path(folder, name).relative_to(self._disk).as_posix()
            return
        from pyarrow import fs

        selector = fs.FileSelector("", recursive=True, allow_not_found=True)
        for info in self.filesystem().get_file_info(selector):
            if info.type is fs.FileType.File:
                yield info.path

    @contextmanager
    def lock(self, name: str, *, is_waiting: bool = True) -> Iterator[None]:
        """Let one process of this machine at a time work on what `name` stands for; others wait.

        With `is_waiting` false they get a `BlockingIOError` instead.
        """
        folder = self.home / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX if is_waiting else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    def restrict(self) -> None:
        """Let what this process creates be readable by its owner alone (`ETA_UMASK`); idempotent.

        Every entry point does it once: a child (the JVM, dbt, delta-rs' threads) inherits it; Spark
        sets the modes of its files itself and gets the same mask by its configuration. The folders
        of home and lake lose the same bits if they are there: nobody else then comes by what
        earlier versions left readable in them. One of another owner is left as it is.
        """
        mask = self._settings.file_mask
        os.umask(mask)
        for folder in filter(None, (self.home, self._disk)):
            with suppress(OSError):
                mode = stat.S_IMODE(folder.stat().st_mode)
                if mode & mask:
                    folder.chmod(mode & ~mask)
