"""Reads a home from outside: DuckDB for Parquet, `sqlite3`, `json`, `csv`; the Delta log by hand.

Imports nothing of the project. Every file below the home is read, those included that no version
of a table names any more. `deltalake` reads what deletion vectors mark, and old versions.
"""

import gzip
import hashlib
import json
import os
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb
import pyarrow as pa
import zstandard
from ahocorasick_rs import BytesAhoCorasick
from deltalake import DeltaTable, QueryBuilder

from benchmarks.erasure.hostile.decoding import (
    at_paths,
    identities_in_json,
    identities_in_raw,
    identities_in_table,
)

LOG: Final = "_delta_log"
_DATABASE: Final = ("control.db", "control.db-wal", "control.db-shm", "control.db-journal")
_OF_TENANTS: Final = ("exports", "training_sets", "evaluation_sets", "upload_findings")
_TABLES: Final = {".csv": ",", ".inter": "\t", ".tsv": "\t"}
_NO_MAP: Final = ("add", "remove", "cdc")


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody in a place; `how` says in what form."""

    place: str
    how: str
    value: str


class Marks:
    """Long random identifiers that stand in nobody's text: for these, bytes prove something."""

    def __init__(self, texts: Iterator[str] | set[str]) -> None:
        self.texts = sorted(texts)
        patterns = [(f, t) for t in self.texts for f in _forms(t)]
        self._owners = [text for _, text in patterns]
        self._search = BytesAhoCorasick([form for form, _ in patterns]) if patterns else None

    def within(self, data: bytes) -> set[str]:
        """Return those that stand in bytes."""
        if self._search is None:
            return set()
        return {self._owners[n] for n, _, _ in self._search.find_matches_as_indexes(data)}


class Home:
    """A home, seen for one tenant."""

    def __init__(self, home: Path, tenant_id: str, names: frozenset[str]) -> None:
        self.home = home
        self.lake = home / "lake"
        self.tenant_id = tenant_id
        self.names = names

    def held(self, people: set[str], marks: Marks) -> list[Held]:
        """Return every place in which somebody of `people` is a value, or a mark is a text."""
        found: list[Held] = []
        for path in self.files():
            place = path.relative_to(self.home).as_posix()
            if self.owner(path) not in (None, self.tenant_id):
                continue
            if path.name in _DATABASE:
                continue
            values, texts = self._values(path), marks.within(_unpacked(path))
            if path.suffix == ".parquet":
                rows = self.rows(path)
                values = {value for row in rows for value in self.identities(row)}
                texts |= marks.within(json.dumps(rows, default=_text, ensure_ascii=False).encode())
            found += [Held(place, "value", value) for value in sorted(values & people)]
            found += [Held(place, "text", value) for value in sorted(texts)]
        return found + list(self._in_database(people, marks))

    def files(self) -> Iterator[Path]:
        """Yield every file below the home."""
        for folder, _, names in os.walk(self.home):
            for name in sorted(names):
                yield Path(folder, name)

    def owner(self, path: Path) -> str | None:
        """Return the tenant whose file it is by its path; None where it is anybody's."""
        parts = path.relative_to(self.home).parts
        for part in parts:
            if part.startswith("tenant_id="):
                return part.removeprefix("tenant_id=")
        for folder in _OF_TENANTS:
            if folder in parts[:-2]:
                return parts[parts.index(folder) + 1]
        return None

    def identities(self, row: Mapping[str, Any]) -> set[str]:
        """Return whom a row names: its identifying columns, and those within a rejected record."""
        found = set(at_paths({n: v for n, v in row.items() if n != "raw"}, self.names))
        if "raw" in row and "layout" in row:
            found |= identities_in_raw(row["raw"], json.loads(row["layout"]), self.names)
        return found - {""}

    def tables(self) -> list[str]:
        """Return the paths of all Delta tables below the lake."""
        logs = self.lake.rglob(LOG)
        return sorted(log.parent.relative_to(self.lake).as_posix() for log in logs)

    def rows(self, path: Path) -> list[dict[str, Any]]:
        """Return the rows of a Parquet file."""
        query = f"select * from read_parquet('{path}', hive_partitioning = false)"
        with duckdb.connect() as connection:
            found = connection.execute("set TimeZone = 'UTC'").execute(query)
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def current(self, table: str, tenant_id: str) -> list[dict[str, Any]]:
        """Return a tenant's rows of the newest version, by the log and DuckDB."""
        files, has_vectors = live_files(self.lake / table)
        if has_vectors:
            return _by_delta(DeltaTable(self.lake / table), tenant_id)
        found = []
        for file, partition in sorted(files.items()):
            if partition.get("tenant_id") == tenant_id:
                found += [{**row, **partition} for row in self.rows(self.lake / table / file)]
        return found

    def rows_at(self, table: str, version: int, tenant_id: str) -> list[dict[str, Any]]:
        """Return a tenant's rows of an old version; raises when it cannot be read."""
        return _by_delta(DeltaTable(self.lake / table, version=version), tenant_id)

    def logs(self) -> dict[str, str]:
        """Return a hash of every commit of every table."""
        return {
            path.relative_to(self.lake).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.lake.rglob(f"{LOG}/*.json")
        }

    def _values(self, path: Path) -> set[str]:
        if path.suffix in (".json", ".jsonl", ".ndjson") and path.parent.name != LOG:
            lines = _unpacked(path).decode("utf-8", errors="replace")
            pieces = [lines] if path.suffix == ".json" else lines.splitlines()
            return {one for piece in pieces for one in identities_in_json(piece, self.names)}
        if path.suffix in _TABLES:
            text = _unpacked(path).decode("utf-8", errors="replace")
            return identities_in_table(text, _TABLES[path.suffix], self.names)
        return set()

    def _in_database(self, people: set[str], marks: Marks) -> Iterator[Held]:
        for name in _DATABASE:
            path = self.home / name
            if path.exists():
                for text in sorted(marks.within(_copied(path))):
                    yield Held(name, "bytes", text)
        with TemporaryDirectory() as folder:
            for name in _DATABASE[:2]:
                if (self.home / name).exists():
                    Path(folder, name).write_bytes(_copied(self.home / name))
            connection = sqlite3.connect(Path(folder, _DATABASE[0]))
            names = connection.execute("select name from sqlite_master where type = 'table'")
            for (table,) in names.fetchall():
                for value in _texts(connection, table):
                    held = {one for one in identities_in_json(value, self.names) if one in people}
                    yield from (Held(f"control.db {table}", "value", one) for one in sorted(held))
            connection.close()


def row_hash(row: Mapping[str, Any]) -> str:
    """Return a hash over all of a row."""
    text = json.dumps(row, default=_text, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def live_files(table: Path) -> tuple[dict[str, dict[str, Any]], bool]:
    """Return path → partition of the newest version's files, and whether any has marked rows."""
    files: dict[str, dict[str, Any]] = {}
    has_vectors, first = False, 0
    checkpoints = sorted(table.glob(f"{LOG}/*.checkpoint.parquet"))
    if checkpoints:
        first = int(checkpoints[-1].name.split(".")[0]) + 1
        query = f"select add from read_parquet('{checkpoints[-1]}') where add is not null"
        with duckdb.connect() as connection:
            for (add,) in connection.execute(query).fetchall():
                files[_path(add)] = dict(add["partitionValues"])
                has_vectors |= bool(add.get("deletionVector"))
    for commit in sorted(table.glob(f"{LOG}/*.json")):
        if not commit.stem.isdigit() or int(commit.stem) < first:
            continue
        for action in map(json.loads, commit.read_text().splitlines()):
            if "remove" in action:
                files.pop(_path(action["remove"]), None)
            if "add" in action:
                files[_path(action["add"])] = action["add"]["partitionValues"]
                has_vectors |= "deletionVector" in action["add"]
    return files, has_vectors


def foreign_actions(commit: Path, tenant_id: str) -> set[str]:
    """Return the tenants, but for one, whose files a commit adds or removes."""
    found: set[str | None] = set()
    for action in map(json.loads, commit.read_text().splitlines()):
        for kind in _NO_MAP:
            touched = action.get(kind) or {}
            of = (touched.get("partitionValues") or {}).get("tenant_id")
            if of is None and "tenant_id=" in touched.get("path", ""):
                of = touched["path"].split("tenant_id=")[1].split("/")[0]
            found.add(of)
    return {one for one in found if one is not None and one != tenant_id}


def statistics_of(commit: Path) -> set[str]:
    """Return the columns whose bounds a commit holds."""
    found: set[str] = set()
    for action in map(json.loads, commit.read_text().splitlines()):
        text = (action.get("add") or {}).get("stats")
        bounds = json.loads(text) if text else {}
        found |= {*bounds.get("minValues", {}), *bounds.get("maxValues", {})}
    return found


def version_of(table: Path) -> int:
    """Return the newest version."""
    return max(int(commit.stem) for commit in table.glob(f"{LOG}/*.json") if commit.stem.isdigit())


def _by_delta(table: DeltaTable, tenant_id: str) -> list[dict[str, Any]]:
    query = f"select * from held where tenant_id = '{tenant_id}'"
    found = QueryBuilder().register("held", table).execute(query).read_all()
    rows: list[dict[str, Any]] = pa.table(found).to_pylist()
    return rows


def _path(action: Mapping[str, Any]) -> str:
    from urllib.parse import unquote

    return unquote(action["path"])


def _texts(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    for row in connection.execute(f'select * from "{table}"'):
        for value in row:
            text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
            if isinstance(text, str) and text[:1] in "{[":
                yield text


def _copied(path: Path) -> bytes:
    """Read a file of SQLite's in a process of its own: closing it here would drop its locks."""
    import subprocess

    return subprocess.run(["/bin/cat", str(path)], capture_output=True, check=True).stdout


def _unpacked(path: Path) -> bytes:
    """Return a file's bytes, those of packed ones unpacked."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return b""
    if path.suffix == ".parquet":
        return b""
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    if data[:4] == b"PK\x03\x04" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            return b"\n".join(packed.read(name) for name in packed.namelist())
    return data


def _forms(text: str) -> set[bytes]:
    return {text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be")}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, datetime):  # Spark's files name no zone, Delta's schema does: it is UTC
        value = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return str(value)
