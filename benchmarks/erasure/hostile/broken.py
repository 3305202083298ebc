"""`eta`, with one of its guards broken: stands for it while an erasure is carried out.

    python -m benchmarks.erasure.hostile.broken numbers privacy work

Each break takes away what keeps one kind of remains from being missed, as it was seen to be missed
once. The outside proof has to notice.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from deltalake import DeltaTable

from lakehouse.contracts.tenant import DataType
from lakehouse.settings import LakeSettings

ERASED: Final = "erased_people"


@dataclass(frozen=True, slots=True)
class Break:
    """`what` no longer works; `check` has to fail, in a place that has `place` in its path."""

    what: str
    check: str
    place: str
    breaking: Callable[[], AbstractContextManager[Any]]


@contextmanager
def _numbers() -> Iterator[None]:
    """A number in JSON is nobody's identifier."""
    with patch("lakehouse.privacy.json_values.Number", lambda _: None):
        yield


@contextmanager
def _escapes() -> Iterator[None]:
    """A text in JSON is compared as it is written, escapes and all."""
    objects = import_module("lakehouse.privacy.json_values")
    original = objects.decoded
    with patch(
        "lakehouse.privacy.records.decoded", lambda raw: original(raw.replace(b"\\", b"\\\\"))
    ):
        yield


@contextmanager
def _quotes() -> Iterator[None]:
    """Cells of CSV are what stands between delimiters, quotes included."""
    with patch(
        "lakehouse.privacy.records._csv_records",
        lambda text, layout: [text.rstrip("\r\n").split(layout.delimiter)],
    ):
        yield


@contextmanager
def _history() -> Iterator[None]:
    """Only what a mapping says now counts, one that is gone says nothing, and no other is tried."""
    mappings = import_module("lakehouse.privacy.mapping_history")
    readers = import_module("lakehouse.privacy.readers")
    nothing = mappings.SourceMapping()

    def newest(history: Any, name: str) -> list[Any]:
        return [history._versions[-1].get(name, nothing)]  # noqa: SLF001 - it is broken here

    def contract_alone(_: Any, __: Any) -> Any:
        return readers.IdentifyingFields()

    with (
        patch.object(mappings.MappingHistory, "named", newest),
        patch.object(readers.Readers, "_others", contract_alone),
    ):
        yield


@contextmanager
def _alias() -> Iterator[None]:
    """`previousId` of a Segment call names nobody."""
    definition = DataType.CLICKSTREAM.definition
    names = definition.previous_ids
    object.__setattr__(definition, "previous_ids", frozenset())  # it is frozen
    try:
        yield
    finally:
        object.__setattr__(definition, "previous_ids", names)


@contextmanager
def _left(*patterns: str) -> Iterator[None]:
    """Files below the home are left as they are, as by a search that never reads them."""
    home = LakeSettings().home_dir
    kept = {p: p.read_bytes() for pattern in patterns for p in home.glob(pattern) if p.is_file()}
    try:
        yield
    finally:
        for path, data in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def _recbole() -> AbstractContextManager[None]:
    return _left("exports/**/*.inter")


def _scratch() -> AbstractContextManager[None]:
    return _left(f"{SCRATCH}/**/*")


@contextmanager
def _database() -> Iterator[None]:
    """The control database's files, the write-ahead log among them, are not rewritten."""
    with patch("lakehouse.control.database.ControlDatabase.compact", lambda *_: None):
        yield


@contextmanager
def _snapshots() -> Iterator[None]:
    """The logs of shared tables are cut behind a new checkpoint."""
    try:
        yield
    finally:
        lake = Path(LakeSettings().lake)
        for log in list(lake.rglob("_delta_log")):
            table = DeltaTable(log.parent)
            table.create_checkpoint()
            for commit in log.glob("*.json"):
                if commit.stem.isdigit() and int(commit.stem) < table.version():
                    commit.unlink()


SCRATCH: Final = "spark-scratch"
BREAKS: Final = {
    "numbers": Break("a number in JSON is an identifier", ERASED, "raw/quarantine", _numbers),
    "escapes": Break("escapes in JSON are decoded", ERASED, "raw/quarantine", _escapes),
    "quotes": Break("quotes in CSV are decoded", ERASED, "raw/quarantine", _quotes),
    "history": Break("earlier mappings count", ERASED, "raw/quarantine", _history),
    "alias": Break("Segment's aliases name people", ERASED, "raw/quarantine", _alias),
    "recbole": Break("exports for RecBole are read", ERASED, ".inter", _recbole),
    "scratch": Break("Spark's scratch folder is cleaned", ERASED, SCRATCH, _scratch),
    "wal": Break("the control database is rewritten", ERASED, "control.db", _database),
    "snapshots": Break("logs of shared tables stay", "other_tenants_snapshots", "", _snapshots),
}


def main() -> None:
    """Run the command behind the name of a break."""
    name, *arguments = sys.argv[1:]
    from lakehouse.cli.main import app

    with BREAKS[name].breaking():
        app(arguments, prog_name="eta", standalone_mode=False)


if __name__ == "__main__":
    main()
