"""Reads a file as an upload does, and beside it with Python's csv module."""

import csv
import io
from collections import Counter
from pathlib import Path
from random import Random

from benchmarks.csv_files.writing import Written
from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.reader import CsvFile
from lakehouse.contracts.mapping import FileRefusedError

Rows = Counter[tuple[str, ...]]
CHUNKS = (64, 1_000, 4 * 1024 * 1024)


def differs(path: Path, written: Written, random: Random) -> str | None:
    """Return how a valid file is read otherwise than it was written, None when it is not.

    Its delimiter is given, or told from the names of its columns.
    """
    style = written.style
    is_given = random.random() < 0.5
    options = CsvOptions(
        delimiter=style.delimiter if is_given else None,
        wanted=frozenset() if is_given else frozenset(written.header),
        keeps_going=random.random() < 0.5,
    )
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    raw: list[bytes] = []
    try:
        with CsvFile(path, options, chunk_bytes=random.choice(CHUNKS)) as file:
            for piece in file.pieces():
                chunk = file.parse(piece, file.header)
                if chunk.faults.height:
                    return f"{chunk.faults['code'].to_list()} in {written.text!r}"
                rows += [tuple(value or "" for value in row) for row in chunk.frame.iter_rows()]
                lines += chunk.lines.tolist()
                raw += chunk.raw(range(chunk.frame.height))
    except FileRefusedError as refusal:
        return f"refused, {refusal}: {written.text!r}"
    if file.header != written.header:
        return f"header {file.header}: {written.text!r}"
    if rows != list(written.rows):
        return f"rows {rows}: {written.text!r}"
    if lines != written.lines:
        return f"lines {lines}: {written.text!r}"
    if [one.decode() for one in raw] != [
        r.removesuffix(style.line_end) for r in written.records[1:]
    ]:
        return f"bytes {raw}: {written.text!r}"
    if len(style.delimiter) == 1 and written.text:
        text = io.StringIO(written.text, newline="")
        expected = [tuple(row) for row in csv.reader(text, delimiter=style.delimiter, strict=True)]
        if [file.header, *rows] != expected:
            return f"csv.reader has {expected}"
    return None


def read_damaged(path: Path, written: Written, random: Random) -> tuple[Rows, int] | None:
    """Return the rows that would be stored and how many are set aside; None when it is refused."""
    is_given = random.random() < 0.7
    options = CsvOptions(
        delimiter=written.style.delimiter if is_given else None,
        wanted=frozenset() if is_given else frozenset(written.header),
        keeps_going=True,
    )
    rows, faults = Rows(), 0
    try:
        with CsvFile(path, options, chunk_bytes=random.choice(CHUNKS)) as file:
            for piece in file.pieces():
                chunk = file.parse(piece, file.header)
                bad = set(chunk.faults["row"].to_list())
                faults += len(bad)
                values = enumerate(chunk.frame.iter_rows())
                rows.update(tuple(v or "" for v in row) for n, row in values if n not in bad)
    except FileRefusedError:
        return None
    return rows, faults
