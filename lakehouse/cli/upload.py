"""`eta upload`: send a file to the service; `eta upload-job`: what became of one sent before."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lakehouse.cli.input_files import input_files
from lakehouse.cli.output import left_out, note, print_rows
from lakehouse.cli.several_files import upload_several
from lakehouse.cli.uploading import UploadClient, UploadOptions, refused
from lakehouse.contracts.kinds import DataType, FileFormat, OnError

SHOWN_ERRORS: Final = 10

Tenant = Annotated[str, typer.Option(help="The tenant's id.")]
Key = Annotated[str, typer.Option(envvar="ETA_API_KEY", help="API key; better in ETA_API_KEY.")]
Url = Annotated[str, typer.Option(envvar="ETA_URL", help="Where the service is.")]
ErrorsTo = Annotated[
    Path | None,
    typer.Option("--errors-to", dir_okay=False, help="CSV file for every error, if there are any."),
]

LOCAL: Final = "http://127.0.0.1:8000"


def upload(
    files: Annotated[
        list[str], typer.Argument(help="Files, folders or patterns ('exports/*.csv').")
    ],
    tenant: Tenant,
    key: Key,
    data_type: Annotated[
        DataType, typer.Option("--type", help="What the rows are.")
    ] = DataType.INTERACTIONS,
    mapping: Annotated[
        str | None, typer.Option(help="Name of the tenant's source mapping.")
    ] = None,
    on_error: Annotated[
        OnError, typer.Option(help="With a wrong row: store nothing, or the good rows.")
    ] = OnError.REJECT,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Validate everything, store nothing.")
    ] = False,
    background: Annotated[
        bool, typer.Option("--background", help="Do not wait: print the job's id.")
    ] = False,
    file_format: Annotated[
        FileFormat, typer.Option("--format", help="What the files are; `auto`: as they show.")
    ] = FileFormat.AUTO,
    sheet: Annotated[
        str | None, typer.Option(help="Of a workbook, the sheet: its name or number.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Default: told from the file.")] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(help="One to eight characters, or `tab`. Default: told from the file."),
    ] = None,
    compress: Annotated[bool, typer.Option("--compress", help="Send it as gzip.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Sent again with the same key, it is stored once.")
    ] = None,
    errors_to: ErrorsTo = None,
    url: Url = LOCAL,
) -> None:
    """Send files (CSV, JSON, .xlsx, Parquet, Avro) to the service and say what became of the rows.

    Each is a batch of its own. Ends with 1 when one was refused, or nothing of it was stored
    because rows are wrong; a file without rows among others is told.
    """
    options = UploadOptions(
        mapping,
        on_error,
        dry_run,
        background,
        encoding,
        delimiter,
        idempotency_key,
        compress,
        file_format,
        sheet,
    )
    client = UploadClient(url, key, tenant)
    file, *others = input_files(files)
    if others:
        if errors_to is not None or idempotency_key is not None:
            raise typer.BadParameter("--errors-to and --idempotency-key are for one file")
        if not upload_several(client, [file, *others], data_type, options, show_report):
            raise typer.Exit(1)
        return
    answer = client.send(file, data_type, options)
    if background:
        note(f"{file.name}: taken in; see `eta upload-job {answer['job_id']} --tenant {tenant}`")
        typer.echo(answer["job_id"])
        return
    _finish(client, file.name, answer, errors_to)


def upload_job(
    job_id: Annotated[str, typer.Argument(help="What `eta upload --background` printed.")],
    tenant: Tenant,
    key: Key,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    errors_to: ErrorsTo = None,
    url: Url = LOCAL,
) -> None:
    """Say how far an upload is, or what became of its rows."""
    client = UploadClient(url, key, tenant)
    job = client.wait(job_id, _tell) if wait else client.job(job_id)
    if not job["finished_at"]:
        _tell(job)
        return
    result = job["result"] or {}
    if "status" not in result or "rows_received" not in result:
        raise refused(job["http_status"] or 500, _problem_of(result))
    _finish(client, f"job {job_id}", result, errors_to)


def _duplicates(report: dict[str, Any]) -> str:
    """Say what was known before the file, and what only repeats another row of it."""
    repeated = report.get("repeated_in_file") or 0
    known = f"{report['duplicates'] - repeated:,} known already"
    return f"{known}, {repeated:,} repeated in the file" if repeated else known


def show_report(file: str, report: dict[str, Any]) -> None:
    """Print an upload's counts, and its first errors."""
    if report["warning_count"]:
        by_code = ", ".join(f"{code}: {n:,}" for code, n in report["warnings_by_code"].items())
        note(f"{file}: warnings: {by_code}")
    if report["status"] == "all_rejected":
        note(f"{file}: all {report['rows_received']:,} rows are wrong, and in quarantine")
    elif report["status"] == "success":
        done = "would be stored" if report["dry_run"] else "stored"
        note(
            f"{file}: {report['rows_received']:,} rows, {report['rows_accepted']:,} {done}, "
            f"{_duplicates(report)}, {report['quarantined']:,} in quarantine"
            f"{left_out(report.get('skipped') or 0)}"
        )
    else:
        note(
            f"{file}: nothing was stored, {report['rows_rejected']:,} of "
            f"{report['rows_received']:,} rows are wrong ({report['error_count']:,} errors)"
        )
    if not report["error_count"]:
        return
    shown = report.get("errors", [])[:SHOWN_ERRORS]
    print_rows(("where", "column", "code", "reason"), list(map(_issue_row, shown)))
    if report["error_count"] > len(shown):
        by_code = ", ".join(f"{code}: {n:,}" for code, n in report["errors_by_code"].items())
        note(
            f"… and {report['error_count'] - len(shown):,} more (--errors-to FILE writes all); "
            f"in all {by_code}"
        )


def _issue_row(issue: dict[str, Any]) -> tuple[str, str, str, str]:
    where = issue.get("place") or f"line {issue['line']}"
    return where, issue["column"], issue["code"], issue["reason"]


def _finish(
    client: UploadClient, name: str, report: dict[str, Any], errors_to: Path | None
) -> None:
    show_report(name, report)
    if errors_to is not None and report["error_count"]:
        client.save_row_issues(report["job_id"], "errors", errors_to)
        note(f"{name}: {report['error_count']:,} errors written to {errors_to}")
    if report["status"] != "success":
        raise typer.Exit(1)


def _tell(job: dict[str, Any]) -> None:
    progress = job["progress"]
    if progress is None:
        note(f"job {job['job_id']}: {job['state']}")
        return
    share = 100 * progress["bytes_read"] / max(1, progress["bytes_total"])
    note(f"job {job['job_id']}: {job['state']}, {share:.0f} %, {progress['rows_read']:,} rows")


def _problem_of(result: dict[str, Any]) -> dict[str, Any]:
    """A refusal is a problem already; a failure has an error and a remedy."""
    return {"detail": result.get("error"), **result}
