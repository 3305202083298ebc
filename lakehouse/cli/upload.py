"""`eta upload`: send a CSV file to the service."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lakehouse.cli.output import note, print_rows
from lakehouse.contracts.kinds import DataType

SHOWN_ERRORS: Final = 10


def upload(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    tenant: Annotated[str, typer.Option(help="The tenant's id.")],
    key: Annotated[str, typer.Option(envvar="ETA_API_KEY", help="API key; better in ETA_API_KEY.")],
    data_type: Annotated[
        DataType, typer.Option("--type", help="What the rows are.")
    ] = DataType.INTERACTIONS,
    mapping: Annotated[
        str | None, typer.Option(help="Name of the tenant's source mapping.")
    ] = None,
    url: Annotated[str, typer.Option(envvar="ETA_URL", help="Where the service is.")] = (
        "http://127.0.0.1:8000"
    ),
) -> None:
    """Send a CSV file to the service and say what became of its rows."""
    from lakehouse.cli.uploading import send_csv

    report = send_csv(url, key, file, tenant_id=tenant, data_type=data_type, mapping=mapping)
    show_report(file, report)
    if report["status"] != "success":
        raise typer.Exit(1)


def show_report(file: Path, report: dict[str, Any]) -> None:
    """Print an upload's counts, or its first errors."""
    if report["status"] == "success":
        note(
            f"{file.name}: {report['rows_received']:,} rows, {report['rows_accepted']:,} stored, "
            f"{report['duplicates']:,} known already, {report['quarantined']:,} in quarantine"
        )
        return
    note(
        f"{file.name}: nothing was stored, {report['rows_rejected']:,} of "
        f"{report['rows_received']:,} rows are wrong ({report['error_count']:,} errors)"
    )
    shown = report["errors"][:SHOWN_ERRORS]
    print_rows(
        ("line", "column", "code", "reason"),
        [(e["line"], e["column"], e["code"], e["reason"]) for e in shown],
    )
    if report["error_count"] > len(shown):
        by_code = ", ".join(f"{code}: {n:,}" for code, n in report["errors_by_code"].items())
        note(f"… and {report['error_count'] - len(shown):,} more; in all {by_code}")
