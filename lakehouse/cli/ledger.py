"""`eta ledger`: where every row that was ever received is."""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Final

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.errors import EtaError
from lakehouse.storage.acknowledged import give_up as accept
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import batches
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.removals import left_by_batch
from lakehouse.storage.tables import ensure_tables

app = typer.Typer(help="See and check where received rows are.", no_args_is_help=True)

PAGE: Final = 1_000
COLUMNS: Final = (
    *("batch_id", "source", "data_type", "received_at", "received", "stored"),
    *("duplicate", "quarantined", "suppressed", "replays"),
)


@app.command("list")
def list_(
    tenant: Annotated[str, typer.Option(help="The tenant's id.")],
    limit: Annotated[int, typer.Option(min=1, help="How many batches, the newest first.")] = 50,
) -> None:
    """List batches and what became of their rows.

    `left`: how many of the stored and quarantined ones have left since, by age or by erasure.
    """
    tables = cache(Lake(lake_settings()).table)
    found = batches(tables, tenant, limit=min(limit, PAGE))
    while found and len(found) < limit:
        page = batches(tables, tenant, limit=min(limit - len(found), PAGE), after=found[-1].cursor)
        if not page:
            break
        found.extend(page)
    left = left_by_batch(tables, tenant, datetime.now(UTC)) if found else {}
    print_rows(
        (*COLUMNS, "left"),
        [
            [*(getattr(batch, name) for name in COLUMNS), left.get(batch.batch_id, 0)]
            for batch in found
        ],
    )


@app.command()
def check(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only batches from this day on.")
    ] = None,
) -> None:
    """Compare the ledger with raw and quarantine; exit code 1 names what does not add up."""
    lake = Lake(lake_settings())
    ensure_tables(lake)
    day = None if since is None else since.date()
    found = check_ledger(lake, tenant_id=tenant, since=day)
    if found.wrong:
        columns = ("tenant", "source", "batch", "problem")
        print_rows(columns, [(w.tenant_id, w.source, w.batch_id, w.problem) for w in found.wrong])
    for damage in found.damage:
        note(f"damaged: {damage}\n  What to do: {damage.remedy}")
    state = f"{len(found.wrong):,} wrong" if found.wrong else "all add up"
    if found.damage:
        state += f", but {len(found.damage):,} damaged: what rests on them was not checked"
    note(f"{found.batches:,} batches with {found.received:,} rows: {state}")
    if found.unfinished:
        note(f"{found.unfinished:,} unfinished: under way, or cleared at the service's next start")
    if not found.is_clean:
        raise typer.Exit(1)


@app.command("give-up")
def give_up(
    tenant: Annotated[str, typer.Option(help="The tenant's id.")],
    batch: Annotated[str, typer.Option(help="A batch that `eta ledger check` calls lost.")],
) -> None:
    """Accept that an acknowledged batch is lost, once it was sent again or cannot be.

    The check and the service's readiness then do not report it any more, and the next start removes
    what is left of it.
    """
    lake = Lake(lake_settings())
    if not accept(lake, tenant, batch, datetime.now(UTC)):
        raise EtaError(
            "no batch of this id was acknowledged to the tenant in the last 29 days",
            remedy="`eta ledger check` names the batches that are lost",
        )
    note("given up")
