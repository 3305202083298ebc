"""Damage as files suffer it: stray and lost quotes, delimiters too many or few, cut ends, noise.

Damage is done within rows, never to the header. Where it makes another whole record, as a delimiter
within quotes does, no reader could know: that record is what the file holds.
"""

from collections import Counter
from random import Random
from typing import Final

from benchmarks.csv_files.writing import Style, Written, whole_records

KINDS: Final = (
    "stray quote",
    "lost quote",
    "delimiter more",
    "delimiter less",
    "cut",
    "line end lost",
    "line break",
    "NUL",
)


def damage(kind: str, record: str, style: Style, random: Random) -> str:
    """Return a record with one damage, or as it was where it has nothing to lose."""
    bare = record.rstrip("\r\n")
    at = random.randrange(len(bare) + 1)
    inserted = {
        "stray quote": '"',
        "delimiter more": style.delimiter,
        "line break": style.line_end,
        "NUL": "\0",
    }
    if kind in inserted:
        return record[:at] + inserted[kind] + record[at:]
    if kind == "cut":
        return record[:at]
    if kind == "line end lost":
        return bare
    sign = '"' if kind == "lost quote" else style.delimiter
    parts = record.split(sign)
    lost = random.randrange(1, len(parts)) if len(parts) > 1 else len(parts)
    return sign.join(parts[:lost]) + sign.join(parts[lost:])


def damaged(random: Random, written: Written) -> tuple[str, Counter[tuple[str, ...]], list[str]]:
    """Return the text with one to three damaged records, the rows that it holds, what was done.

    A record that is another one now, alone or with those behind it, or a line that is one, is a row
    that the file holds.
    """
    records, done = list(written.records), []
    places = set()
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        at = random.randrange(1, len(records))
        if at in places:
            continue
        kind = random.choice(KINDS)
        records[at] = damage(kind, records[at], written.style, random)
        places.add(at)
        done.append(kind)
    rows = Counter(written.rows)
    for at in places:
        near = "".join(records[at : at + 4])
        near = near if near.endswith("\n") else f"{near}\n"
        for start in [0, *(n + 1 for n, char in enumerate(near[:-1]) if char == "\n")]:
            rows.update(whole_records(near[start:], written.style))
    return "".join(records), rows, done
