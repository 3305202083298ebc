"""How commands print: a table for people, tab-separated lines for other programs."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their columns; nothing is cut off, so identifiers can be copied."""
    texts = [[_text(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for line in ([*columns], *texts):
            typer.echo("\t".join(line))
        return

    table = Table(*columns)
    for line in texts:
        table.add_row(*(escape(text) for text in line))
    for column in table.columns:
        column.overflow = "fold"
    Console().print(table)


def note(text: str) -> None:
    """Tell the person something that is no part of the output, on stderr."""
    typer.echo(text, err=True)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, (set, frozenset)):
        return ",".join(sorted(str(part) for part in value))
    return " ".join(str(value).split())  # a tab or a newline would break the columns


def left_out(skipped: int) -> str:
    """Return the end of a line of counts: the rows that the mapping leaves out, if any."""
    return f", {skipped:,} left out by the mapping (skip)" if skipped else ""
