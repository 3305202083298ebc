"""`eta retention`: storage tiers and expiry, as the policies of docs/storage-tiers.md say."""

import json
from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.jobs import retention
from lakehouse.jobs.retention import Expiry
from lakehouse.retention.lifecycle import LifecyclePlan
from lakehouse.storage.lake import Lake

app = typer.Typer(
    help="See and apply how long data stays, and in which storage.", no_args_is_help=True
)


@app.command()
def plan() -> None:
    """Show how the bucket's lifecycle rules would change, and what is due to expire.

    Changes nothing. Exit code 2 when there is something to apply or to expire.
    """
    settings = lake_settings()
    due = retention.expire(settings, dry_run=True)
    _show_expiry(due, is_dry=True)
    is_due = not due.is_empty
    if not Lake(settings).has_tiers:
        note("The lake is not on S3: storage tiers need a bucket there (docs/s3.md).")
    else:
        found = retention.plan_rules(settings).plan
        _show(found)
        is_due = is_due or not found.is_empty
    if is_due:
        note("`eta retention apply` sets the rules; `eta retention expire` deletes what is due.")
        raise typer.Exit(2)
    note("Nothing to do.")


@app.command()
def apply() -> None:
    """Set the bucket's lifecycle rules and read them back; rules of others stay."""
    settings = lake_settings()
    found = retention.plan_rules(settings)
    _show(found.plan)
    warnings = retention.apply_rules(settings, found)
    for text in warnings:
        note(f"Danger: {text}.")
    if found.plan.is_empty:
        note("The bucket has these rules already.")
    else:
        note(f"Set and read back: {sum(c.after is not None for c in found.plan.changes)} rules.")
    if warnings:
        raise typer.Exit(1)


@app.command()
def expire(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Only count.")] = False,
) -> None:
    """Delete raw rows and published training sets that are older than their policy allows.

    Rows leave the tables at once and storage a day later, with the next `expire`. Beside writers.
    """
    done = retention.expire(lake_settings(), tenant, dry_run=dry_run)
    _show_expiry(done, is_dry=dry_run)
    if not dry_run:
        note(f"{done.files:,} files left storage.")


def _show(found: LifecyclePlan) -> None:
    sign = {"add": "+", "remove": "-", "change": "~", "keep": " "}
    print_rows(
        ("", "rule", "prefix", "before", "after"),
        [
            (
                sign[change.change],
                change.rule_id,
                (change.after or change.before or {})["Filter"]["Prefix"],
                _steps(change.before),
                _steps(change.after),
            )
            for change in found.changes
        ],
    )
    for rule in found.foreign:
        note(f"Left alone: {json.dumps(rule, default=str)}")


def _steps(rule: object) -> str | None:
    if not isinstance(rule, dict):
        return None
    steps = [f"day {s['Days']}: {s['StorageClass']}" for s in rule.get("Transitions", ())]
    if "Expiration" in rule:
        steps.append(f"day {rule['Expiration'].get('Days')}: deleted")
    return ", ".join(steps)


def _show_expiry(found: Expiry, *, is_dry: bool) -> None:
    if found.is_empty:
        note("Nothing is old enough to expire.")
        return
    lines = [(r.table, r.tenant_id, f"days before {r.before}", r.rows) for r in found.rows]
    lines += [("training sets", s.tenant_id, s.snapshot_id, s.rows) for s in found.snapshots]
    print_rows(("from", "tenant", "due" if is_dry else "expired", "rows"), lines)
