"""`eta retention`: storage tiers and expiry, as the policies of docs/storage-tiers.md say."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.output import note, print_rows
from lakehouse.storage.lake import Lake

if TYPE_CHECKING:
    from lakehouse.contracts.retention import RetentionPolicy
    from lakehouse.retention.lifecycle import LifecyclePlan
    from lakehouse.settings import LakeSettings

app = typer.Typer(
    help="See and apply how long data stays, and in which storage.", no_args_is_help=True
)


@app.command()
def plan() -> None:
    """Show how the bucket's lifecycle rules would change, and what is due to expire.

    Changes nothing. Exit code 2 when there is something to apply or to expire.
    """
    from lakehouse.settings import LakeSettings

    settings = LakeSettings()
    tenants = _policies(settings)
    is_due = _show_expiry(settings, tenants, is_dry=True)
    if not Lake(settings).has_tiers:
        note("The lake is not on S3: storage tiers need a bucket there (docs/s3.md).")
    else:
        _, _, found = _lifecycle(settings, tenants)
        _show(found)
        is_due = is_due or not found.is_empty
    if is_due:
        note("`eta retention apply` sets the rules; `eta retention expire` deletes what is due.")
        raise typer.Exit(2)
    note("Nothing to do.")


@app.command()
def apply() -> None:
    """Set the bucket's lifecycle rules and read them back; rules of others stay."""
    from lakehouse.retention.lifecycle import apply_lifecycle, is_versioned
    from lakehouse.settings import LakeSettings
    from lakehouse.storage.s3 import s3_client

    settings = LakeSettings()
    bucket, warnings, found = _lifecycle(settings, _policies(settings))
    _show(found)
    client = s3_client(Lake(settings))
    if is_versioned(client, bucket):
        warnings = [*warnings, "the bucket keeps old versions: what is deleted stays in it"]
    for text in warnings:
        note(f"Danger: {text}.")
    if found.is_empty:
        note("The bucket has these rules already.")
    else:
        apply_lifecycle(client, bucket, found)
        note(f"Set and read back: {sum(c.after is not None for c in found.changes)} rules.")
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
    from lakehouse.retention.expiry import drop_expired_files
    from lakehouse.settings import LakeSettings
    from lakehouse.storage.tables import ensure_tables

    settings = LakeSettings()
    lake = Lake(settings)
    ensure_tables(lake)
    _show_expiry(settings, _policies(settings), tenant, is_dry=dry_run)
    if not dry_run:
        note(f"{drop_expired_files(lake, datetime.now(UTC)):,} files left storage.")


def _policies(settings: "LakeSettings") -> dict[str, "RetentionPolicy"]:
    """The policies of the tenants that the control database knows."""
    from lakehouse.control.opening import existing_database

    with existing_database(settings) as database:
        if database is None:
            return {}
        return {
            tenant.tenant_id: database.tenant_settings(tenant.tenant_id).retention
            for tenant in database.tenants.list()
        }


def _lifecycle(
    settings: "LakeSettings", tenants: dict[str, "RetentionPolicy"]
) -> "tuple[str, list[str], LifecyclePlan]":
    """The bucket, what others' rules endanger in it, and the plan."""
    from lakehouse.retention.folders import classified_tables
    from lakehouse.retention.lifecycle import plan_lifecycle
    from lakehouse.retention.rules import compile_rules, dangers
    from lakehouse.storage.s3 import bucket_prefix, s3_client

    place = bucket_prefix(Lake(settings))
    tables = classified_tables(settings)
    rules = compile_rules(place.prefix, tables, tenants)
    found = plan_lifecycle(s3_client(Lake(settings)), place.bucket, rules, place.prefix)
    return place.bucket, dangers(found.foreign, place.prefix, tables), found


def _show(found: "LifecyclePlan") -> None:
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


def _show_expiry(
    settings: "LakeSettings",
    tenants: dict[str, "RetentionPolicy"],
    tenant_id: str | None = None,
    *,
    is_dry: bool,
) -> bool:
    """Expire, or only count; print it and return whether there was anything."""
    from lakehouse.retention.expiry import expire_rows
    from lakehouse.storage.tables import ensure_tables
    from lakehouse.training.snapshot_expiry import expire_snapshots

    lake = Lake(settings)
    ensure_tables(lake)
    now = datetime.now(UTC)
    rows = expire_rows(lake, tenants, now, tenant_id=tenant_id, dry_run=is_dry)
    sets = expire_snapshots(lake, tenants, now, tenant_id=tenant_id, dry_run=is_dry)
    lines = [(r.table, r.tenant_id, f"days before {r.before}", r.rows) for r in rows]
    lines += [("training sets", s.tenant_id, s.snapshot_id, s.rows) for s in sets]
    if lines:
        print_rows(("from", "tenant", "due" if is_dry else "expired", "rows"), lines)
    else:
        note("Nothing is old enough to expire.")
    return bool(lines)
