"""Identifiers of a request for an erasure: read from a file, and compared with what is stored.

An identifier that is stored nowhere is erased at once and truly, though perhaps it is not the one
that was meant: with a space too many it is another identifier, here as in ingestion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from lakehouse.contracts.characters import folded
from lakehouse.contracts.tables import RAW_CLICKSTREAM, RAW_INTERACTIONS
from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from lakehouse.settings import LakeSettings

SHOWN_LINES: Final = 20

_COLUMNS: Final = {RAW_INTERACTIONS: ("user_id",), RAW_CLICKSTREAM: ("user_id", "anonymous_id")}
_HEADERS: Final = frozenset(
    {"user_id", "userid", "user", "users", "id", "ids", "anonymous_id", "customer_id", "subject"}
)


def read_identifiers(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a file that hold an identifier, with their numbers from 1.

    As in ingestion a text is what it is: nothing is taken off but the line's end, LF or CRLF, and
    a byte order mark. Empty lines, and lines of white space, hold none. Raises `EtaError` for a
    file that is not UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise EtaError(
            f"line {line} of the file is not UTF-8", remedy="save the file as UTF-8"
        ) from None
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def stored_identifiers(
    settings: LakeSettings, tenant_id: str, wanted: Iterable[str]
) -> frozenset[str]:
    """Return those of `wanted` that stand in a stored interaction or clickstream event.

    Reads these columns of the tenant. Rows in quarantine are not asked.
    """
    from lakehouse.privacy.rewriting import find_rows
    from lakehouse.storage.tables import open_table

    asked = pl.Series(list(set(wanted)), dtype=pl.String).implode()
    found: set[str] = set()
    for spec, columns in _COLUMNS.items():

        def search(rows: pa.Table) -> tuple[np.ndarray, pl.DataFrame]:
            frame = pl.DataFrame(rows)
            is_asked = frame.select(pl.any_horizontal(pl.all().is_in(asked))).to_series()
            return is_asked.fill_null(value=False).to_numpy(), frame.filter(is_asked)

        for match in find_rows(open_table(settings, spec), tenant_id, list(columns), search):
            for name in columns:
                found |= set(match.told[name].drop_nulls())
    return frozenset(found & set(asked.item()))


def remarks(numbered: Sequence[tuple[int | None, str]], stored: frozenset[str]) -> list[str]:
    """Return what to tell about the identifiers of a request, without naming one.

    `numbered`: line (None: not from a file) and identifier.
    """
    told = []
    if numbered and numbered[0][0] == 1 and folded(numbered[0][1]) in _HEADERS:
        told.append("line 1 looks like a header; it is taken for an identifier")
    unknown = [(line, one) for line, one in numbered if one not in stored]
    if unknown:
        told.append(
            f"{len({one for _, one in unknown}):,} of {len({one for _, one in numbered}):,} "
            f"identifiers stand in no stored event{_lines(line for line, _ in unknown)}"
        )
    padded = [(line, one) for line, one in unknown if one != one.strip()]
    if padded:
        told.append(
            f"{len(padded):,} of these begin or end with white space, which makes them other "
            f"identifiers{_lines(line for line, _ in padded)}"
        )
    return told


def _lines(found: Iterable[int | None]) -> str:
    lines = [line for line in found if line is not None]
    if not lines:
        return ""
    more = f" and {len(lines) - SHOWN_LINES:,} more" if len(lines) > SHOWN_LINES else ""
    return f": line {', '.join(map(str, lines[:SHOWN_LINES]))}{more}"
