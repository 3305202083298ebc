"""`eta quarantine`: see, correct and take in what was refused."""

from functools import cache
from pathlib import Path
from typing import Annotated, Final

import typer

from lakehouse.cli.control import control_database, lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.cli.replaying import run_replay
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode
from lakehouse.control.settings_file import read_settings
from lakehouse.storage.lake import Lake
from lakehouse.storage.quarantine import Quarantine, place_of
from lakehouse.storage.quarantine_export import export_rows, reasons_text, record_text
from lakehouse.storage.tables import ensure_tables

app = typer.Typer(help="See, correct and take in refused rows.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="The tenant's id.")]
Batch = Annotated[str | None, typer.Option(help="Only this batch.")]
Code = Annotated[str | None, typer.Option(help="Only rows with this reason.")]
Mapping = Annotated[
    str | None, typer.Option(help="Read the rows with this source mapping of the tenant.")
]
SHOWN: Final = 20


@app.command("list")
def list_(tenant: Tenant, batch: Batch = None) -> None:
    """Count open rows by reason, and by batch."""
    quarantine = _quarantine(tenant, batch)
    remedies = {code.value: EXPLANATIONS[code].remedy for code in ReasonCode}
    print_rows(
        ("type", "reason", "field", "rows", "batches", "what to do"),
        [
            (c.data_type, c.code, c.field, c.rows, c.batches, remedies.get(c.code))
            for c in quarantine.reasons()
        ],
    )
    found = quarantine.batches()
    print_rows(("batch", "type", "source", "rows"), list(found.iter_rows()))
    note(f"{found['rows'].sum():,} open rows in {found.height:,} batches")


@app.command()
def show(
    tenant: Tenant,
    batch: Batch = None,
    code: Code = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = SHOWN,
) -> None:
    """Show open rows as they were sent, with every reason."""
    shown: list[tuple[str, str, str, str]] = []
    for rows in _quarantine(tenant, batch).rows(code):
        for row in rows.head(limit - len(shown)).iter_rows(named=True):
            text = record_text(row["raw"], SourceLayout.from_text(row["layout"]))
            text = text.encode(errors="surrogateescape").decode(errors="backslashreplace")
            reasons = reasons_text(row["reasons"])
            shown.append((row["batch_id"], place_of(row["source_ref"]), reasons, text))
        if len(shown) >= limit:
            break
    print_rows(("batch", "line", "reasons", "content"), shown)


@app.command()
def export(
    tenant: Tenant,
    out: Annotated[Path, typer.Option(dir_okay=False, help="CSV file to write.")],
    batch: Batch = None,
    code: Code = None,
) -> None:
    """Write open rows to a CSV file: batch, line, reasons, then the columns of the file."""
    count = export_rows(_quarantine(tenant, batch).rows(code), out)
    note(f"{count:,} rows written to {out}; it holds personal data, delete it when done")
    note(f"Correct them there, then: `eta quarantine fix --tenant {tenant} --rows {out}`")


@app.command()
def replay(tenant: Tenant, batch: Batch = None, mapping: Mapping = None) -> None:
    """Try open rows again under the tenant's present settings; each row lands once."""
    _replay(tenant, batch, mapping, None)


@app.command()
def fix(
    tenant: Tenant,
    settings: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="New settings of the tenant, as for set."),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="An export with corrected rows."),
    ] = None,
    batch: Batch = None,
    mapping: Mapping = None,
) -> None:
    """Change the tenant's settings or give corrected rows, and replay; safe to repeat."""
    if settings is None and rows is None:
        raise typer.BadParameter("give --settings FILE, --rows FILE or both")
    if settings is not None:
        wanted = read_settings(settings)
        with control_database() as database:
            version = database.set_tenant_settings(tenant, wanted)
        note(f"{tenant} has settings version {version}.")
    _replay(tenant, batch, mapping, rows)


def _replay(tenant: str, batch: str | None, mapping: str | None, rows: Path | None) -> None:
    result = run_replay(tenant, batch, mapping, rows)
    columns = ("batch_id", "tried", "stored", "duplicate", "suppressed", "still_open")
    print_rows(columns, [[found[name] for name in columns] for found in result.batches])
    for found in result.batches:
        if found["refusal"]:
            note(f"{found['batch_id']}: {found['refusal']}")
    reasons = ", ".join(f"{code}: {n:,}" for code, n in result.still_open_by_code.items())
    if reasons:
        note(f"Still open: {reasons}")
    if result.not_open:
        note(f"{result.not_open:,} rows of the file are not open: taken in before, or never here")
    if not result.batches:
        note("Nothing to replay.")
    if result.batches and all(found["refusal"] for found in result.batches):
        raise typer.Exit(1)


def _quarantine(tenant: str, batch: str | None) -> Quarantine:
    lake = Lake(lake_settings())
    ensure_tables(lake)
    return Quarantine(cache(lake.table), tenant, batch)
