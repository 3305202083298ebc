"""The table at the end of a command: what is where, for whom."""

from collections.abc import Sequence
from typing import Final

from lakehouse.cli.output import note, print_rows
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.overview import TableOverview, overview

MOST_COLUMNS: Final = 8
"""Tenants that stand side by side."""


def print_overview(settings: LakeSettings, tenants: Sequence[str] | None = None) -> None:
    """Print each table's place and its rows per tenant (all tenants by default).

    A few tenants are columns beside the places; of more each has a line.
    """
    tables = overview(Lake(settings))
    shown = tenants or sorted({tenant for table in tables for tenant in table.rows or ()})
    if len(shown) > MOST_COLUMNS:
        print_rows(("table", "location"), [(table.name, table.location) for table in tables])
        lines = [(tenant, *(_rows(table, tenant) for table in tables)) for tenant in shown]
        print_rows(("tenant", *(table.name for table in tables)), lines)
        return
    print_rows(
        ("table", *shown, "location"),
        [(table.name, *(_rows(table, t) for t in shown), table.location) for table in tables],
    )


def _rows(table: TableOverview, tenant: str) -> str:
    return "-" if table.rows is None else f"{table.rows.get(tenant, 0):,}"


def print_next_commands(settings: LakeSettings, tenant: str) -> None:
    """Say where the result is and what to type next."""
    note("")
    note(f"The training set is {settings.lake}/training/training_data (Delta, by tenant).")
    note("Next:")
    for command, purpose in (
        (f"uv run eta export --tenant {tenant}", "the training set as Parquet files for a trainer"),
        (f"uv run eta training show --tenant {tenant}", "what was published, and from what"),
        ("uv run eta status", "what each tenant has, and when it last sent something"),
        ("uv run eta docs", "the models, their columns and their graph in the browser"),
        (
            f"uv run dbt run --select user_features --vars 'tenant_id: {tenant}'",
            "one model, one tenant",
        ),
        ("uv run eta serve", "the service, for uploads of your own"),
        (
            "uv run eta run --tenant mine --interactions my.csv",
            "a file of your own from end to end",
        ),
    ):
        note(f"  {command}\n      {purpose}")
