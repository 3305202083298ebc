"""Polluted CSV files of the Pollock benchmark: how many are read, and whether any row is wrong.

`python -m benchmarks.pollock FOLDER` with the folder that holds `csv/` and `clean/` (or the archive
`pollock-half.tar.xz`) prints one JSON object. Each file is read as an upload reads it, with
`on_error=reject` and with `quarantine`, and each row that would be stored is looked for in the
file's clean version: one that is not there is a wrong row. Nothing but the file is given.
"""

import csv
import json
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.reader import CsvFile
from lakehouse.contracts.mapping import FileRefusedError

Rows = Counter[tuple[str, ...]]


def main() -> None:
    """Print the result."""
    with _folder(Path(sys.argv[1])) as folder:
        print(json.dumps({mode: measure(folder, mode) for mode in ("reject", "quarantine")}))


def measure(folder: Path, mode: str) -> dict[str, object]:
    """Return counts over all files; `wrong_by_kind` names the kinds of file with wrong rows."""
    totals: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for path in sorted((folder / "csv").glob("*.csv")):
        totals["files"] += 1
        clean = _rows_of(folder / "clean" / path.name)
        try:
            rows, faults = _read(path, CsvOptions(keeps_going=mode == "quarantine"))
        except FileRefusedError as refusal:
            totals["files_refused"] += 1
            totals[f"refused_{refusal.code}"] += 1
            continue
        wrong = rows - clean
        totals["files_read"] += 1
        totals["files_with_wrong_rows"] += bool(wrong)
        totals["rows_read"] += rows.total()
        totals["rows_wrong"] += wrong.total()
        totals["rows_missing"] += (clean - rows).total()
        totals["rows_set_aside"] += faults
        if wrong:
            kinds[_kind(path)] += wrong.total()
    return {**dict(sorted(totals.items())), "wrong_by_kind": dict(sorted(kinds.items()))}


def _read(path: Path, options: CsvOptions) -> tuple[Rows, int]:
    rows, faults = Rows(), 0
    with CsvFile(path, options) as file:
        for piece in file.pieces():
            chunk = file.parse(piece, file.header)
            bad = set(chunk.faults["row"].to_list())
            faults += len(bad)
            values = enumerate(chunk.frame.iter_rows())
            rows.update(tuple(v or "" for v in row) for n, row in values if n not in bad)
    return rows, faults


def _rows_of(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        return Rows(tuple(row) for row in csv.reader(file))


def _kind(path: Path) -> str:
    """What was done to a file, without the place where."""
    words = path.stem.split("_")
    return "_".join(words if words[0] == "file" else words[:3]).rstrip("0123456789")


@contextmanager
def _folder(given: Path) -> Iterator[Path]:
    if given.is_dir():
        yield given
        return
    with TemporaryDirectory() as scratch, tarfile.open(given) as archive:
        archive.extractall(scratch, filter="data")
        yield next(Path(scratch).rglob("csv")).parent


if __name__ == "__main__":
    main()
