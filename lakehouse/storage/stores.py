"""The kinds of places that a lake can be in: a folder of this machine, or an object store.

delta-rs, and pyarrow through it, reach every store by the scheme of its URL and by
`ETA_STORAGE_OPTIONS`. What a kind needs beyond that is its entry in `OBJECT_STORES`: another store
is another entry. Whether a place is a folder or a URL is decided here alone (`disk_path`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from lakehouse.errors import EtaError
from lakehouse.storage.s3 import s3a_settings

if TYPE_CHECKING:
    import pyarrow.fs as pafs
    from deltalake import DeltaTable


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A kind of object store.

    `options` are always set, in the place of those of the same meaning (`replaced`).
    `spark_settings` makes the settings of a Spark of `eta` from the options; None where that has
    no jars for the store. `needs_one_spark`: Spark's commits are safe within one JVM only.
    `has_tiers`: `eta retention` sets rules there.
    """

    name: str
    schemes: frozenset[str]
    options: Mapping[str, str] = field(default_factory=dict)
    replaced: frozenset[str] = frozenset()
    spark_settings: Callable[[Mapping[str, str]], dict[str, str]] | None = None
    needs_one_spark: bool = False
    has_tiers: bool = False

    def with_options(self, configured: Mapping[str, str]) -> dict[str, str]:
        """Return the options of delta-rs for a lake in this store."""
        others = {n: v for n, v in configured.items() if n.lower() not in self.replaced}
        return {**others, **self.options}


_AZURE: Final = frozenset({"az", "abfs", "abfss"})
OBJECT_STORES: Final = (
    ObjectStore(
        "S3",
        frozenset({"s3", "s3a"}),
        # A commit is a put that fails if the version is there: two writers cannot both win. It is
        # delta-rs' default; written out, an option of an old configuration cannot undo it.
        options={"aws_conditional_put": "etag"},
        replaced=frozenset({"aws_conditional_put", "conditional_put"}),
        spark_settings=s3a_settings,
        needs_one_spark=True,
        has_tiers=True,
    ),
    # These two put a version only where none is, without being asked to.
    ObjectStore("Google Cloud Storage", frozenset({"gs"})),
    ObjectStore("Azure Blob Storage", _AZURE),
)


def disk_path(location: str) -> Path | None:
    """Return the folder of this machine that a location is; None for one in an object store."""
    if location.startswith("file:///"):
        return Path(location.removeprefix("file://"))
    return None if "://" in location else Path(location)


def object_store(location: str) -> ObjectStore:
    """Return the kind of store of a URL; raises `EtaError` for one that leads to none."""
    scheme, _, place = location.partition("://")
    store = next((one for one in OBJECT_STORES if scheme in one.schemes), None)
    if store is None:
        known = ", ".join(f"{name}://" for one in OBJECT_STORES for name in sorted(one.schemes))
        raise EtaError(
            f"no object store is known by the scheme {scheme}://",
            remedy=f"set ETA_LAKE_URI to a folder, or to a URL that begins with one of {known}",
        )
    if not place or place.startswith("/"):
        raise EtaError(
            f"the lake's URL {scheme}:// names no bucket",
            remedy=f"set ETA_LAKE_URI to {scheme}://BUCKET/PREFIX",
        )
    host, _, rest = place.partition("/")
    user, at, _ = host.rpartition("@")  # abfss://CONTAINER@ACCOUNT has no password
    if ":" in user or (at and store.schemes != _AZURE) or set("?#") & {*host, *rest}:
        raise EtaError(
            "ETA_LAKE_URI has credentials or a query in it, and a lake's URL stands in logs, in "
            "what `eta status` says and in events of OpenLineage",
            remedy=f"set it to {scheme}://BUCKET/PREFIX; credentials go into ETA_STORAGE_OPTIONS",
        )
    return store


def filesystem_at(location: str, options: Mapping[str, str]) -> pafs.FileSystem:
    """Return a file system whose root is a folder or a URL; it need not exist yet."""
    return _filesystem(location, lambda handler: handler(location, dict(options)))


def table_filesystem(table: DeltaTable) -> pafs.FileSystem:
    """Return a file system whose root is the table, reached as the table is.

    A table says its place as a URL, in which a space is `%20`.
    """
    handle = table._table  # noqa: SLF001 - the documented use of `from_table`
    return _filesystem(unquote(table.table_uri), lambda handler: handler.from_table(handle))


def _filesystem(location: str, through: Callable[[Any], Any]) -> pafs.FileSystem:
    from deltalake.fs import DeltaStorageHandler
    from pyarrow import fs

    if (folder := disk_path(location)) is not None:
        return fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
    return fs.PyFileSystem(through(DeltaStorageHandler))
