"""`eta quality report`: the quality of a tenant's data over time, as text, a page or JSON."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.control import control_database, lake_settings
from lakehouse.cli.output import note
from lakehouse.cli.quality_text import report_text
from lakehouse.quality.document import QualityReport
from lakehouse.quality.history import Reader
from lakehouse.quality.pages import report_html
from lakehouse.storage.lake import Lake


class ReportFormat(StrEnum):
    """What a report is written as."""

    text = "text"
    html = "html"
    json = "json"


def report(
    tenant: Annotated[str, typer.Option(help="The tenant's id.")],
    format_: Annotated[
        ReportFormat, typer.Option("--format", help="`html` is one file that needs no network.")
    ] = ReportFormat.text,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File to write; default: to the terminal.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=90, help="How far back to look.")] = 30,
) -> None:
    """Show scores, rejects, runs, gates and dbt's results of the last days; needs no Spark."""
    with control_database() as database:
        database.tenant_settings(tenant)  # raises for an unknown one
        found = Reader(Lake(lake_settings()), database, days).report(tenant)
    text = _text(found, format_)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        note(f"Report: {out}")
    for part in found.unread:
        note(part)


def _text(found: QualityReport, format_: ReportFormat) -> str:
    if format_ is ReportFormat.html:
        return report_html(found)
    if format_ is ReportFormat.json:
        return found.model_dump_json(indent=2) + "\n"

    return report_text(found, is_for_terminal=sys.stdout.isatty())
