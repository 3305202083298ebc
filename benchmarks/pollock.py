"""Polluted CSV files of the Pollock benchmark: how many are read, how well, and any wrong row.

`python -m benchmarks.pollock FOLDER` with the folder that holds `csv/`, `clean/` and `parameters/`
(or the archive `pollock-half.tar.xz`) prints one JSON object. Each file is read as an upload reads
it: with `on_error=reject`, with `quarantine`, and with `quarantine` and the file's parameters
given. Each row that would be stored is looked for in the file's clean version: one that is not
there is wrong. Python's csv, polars, DuckDB and, where it is installed (`uv run --with clevercsv`),
clevercsv read the same files in the same run, by their own detection.

The scores are Pollock's (Vitagliano et al., PVLDB 16, 2023): ten measures of a file, added up.
`simple` is the mean over files, `weighted` the mean by how often the pollution is met.
"""

import csv
import json
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.pollock_peers import PEERS_REFUSALS, Reader, Table, peers
from ingest_service.readers.csv.chunks import CsvOptions, Dialect
from ingest_service.readers.csv.reader import CsvFile
from lakehouse.contracts.mapping import FileRefusedError

Rows = Counter[tuple[str, ...]]
MODES: Final = ("reject", "quarantine", "quarantine, parameters given")


def main() -> None:
    """Print the result."""
    with _folder(Path(sys.argv[1])) as folder:
        ours: dict[str, Reader] = {mode: partial(_read_so, mode) for mode in MODES}
        print(json.dumps({name: measure(folder, read) for name, read in (ours | peers()).items()}))


def measure(folder: Path, read: Reader) -> dict[str, object]:
    """Return counts over all files, their scores, and what is lost of them by kind of file."""
    totals: Counter[str] = Counter()
    lost: dict[str, float] = defaultdict(float)
    wrong_by_kind: Counter[str] = Counter()
    weights = json.loads((folder / "pollock_weights.json").read_text())
    simple = weighted = weight = 0.0
    for path in sorted((folder / "csv").glob("*.csv")):
        said = json.loads((folder / "parameters" / f"{path.name}_parameters.json").read_text())
        clean = _rows_of(folder / "clean" / path.name)
        totals["files"] += 1
        weight += weights[path.name]
        try:
            header, rows, faults = read(path, said)
        except (FileRefusedError, *PEERS_REFUSALS) as refusal:
            totals["files_refused"] += 1
            totals[f"refused_{getattr(refusal, 'code', type(refusal).__name__)}"] += 1
            lost[_kind(path)] += 10
            continue
        score = _score(clean, int(said["header_lines"]), header, rows)
        simple += score
        weighted += score * weights[path.name]
        found, known = Rows(rows), Rows(map(tuple, clean))
        wrong = found - known
        totals["files_read"] += 1
        totals["files_with_wrong_rows"] += bool(wrong)
        totals["rows_read"] += found.total()
        totals["rows_wrong"] += wrong.total()
        totals["rows_missing"] += (known - found).total()
        totals["rows_set_aside"] += faults
        lost[_kind(path)] += 10 - score
        if wrong:
            wrong_by_kind[_kind(path)] += wrong.total()
    return {
        "simple": round(simple / totals["files"], 3),
        "weighted": round(weighted / weight, 3),
        **dict(sorted(totals.items())),
        "lost_by_kind": {kind: round(points, 2) for kind, points in sorted(lost.items()) if points},
        "wrong_by_kind": dict(sorted(wrong_by_kind.items())),
    }


def _options(mode: str, said: dict[str, Any]) -> CsvOptions:
    if mode != MODES[2]:
        return CsvOptions(keeps_going=mode == "quarantine")
    names = tuple(f"column {n}" for n in range(said["n_columns"])) or None
    dialect = Dialect(
        skip_lines=said["preamble_lines"],
        names=None if said["header_lines"] else names,
        escape="\\" if said["escapechar"] == "\\" else None,
    )
    return CsvOptions(delimiter=said["delimiter"] or None, dialect=dialect, keeps_going=True)


def _read_so(mode: str, path: Path, said: dict[str, Any]) -> Table:
    rows, faults = [], 0
    with CsvFile(path, _options(mode, said)) as file:
        for piece in file.pieces():
            chunk = file.parse(piece, file.header)
            bad = set(chunk.faults["row"].to_list())
            faults += len(bad)
            values = enumerate(chunk.frame.iter_rows())
            rows += [tuple(v or "" for v in row) for n, row in values if n not in bad]
    return file.header, rows, faults


def _score(
    clean: Sequence[Sequence[str]],
    header_lines: int,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> float:
    """Success, and precision, recall and F1 of header, records and cells."""
    names = [cell for row in clean[:header_lines] for cell in row]
    body = clean[header_lines:]
    return (
        1
        + _measures(names, header)
        + _measures(map(_joined, body), map(_joined, rows))
        + _measures((c for row in body for c in row), (c for row in rows for c in row))
    )


def _measures(wanted: Iterable[str], found: Iterable[str]) -> float:
    wanted, found = (Counter(text.strip() for text in texts) for texts in (wanted, found))
    if not wanted:
        return 3.0
    both = (wanted & found).total()
    if not both:
        return 0.0
    precision, recall = both / wanted.total(), both / found.total()
    return precision + recall + 2 * precision * recall / (precision + recall)


def _joined(row: Sequence[str]) -> str:
    return "".join(cell.strip() or "null" for cell in row)


def _rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


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
