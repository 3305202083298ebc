"""The table at the end of a command: what is where, for whom."""

from collections.abc import Sequence

from lakehouse.cli.output import note, print_rows
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.overview import overview


def print_overview(settings: LakeSettings, tenants: Sequence[str] | None = None) -> None:
    """Print each table's place and its rows per tenant (all tenants by default)."""
    tables = overview(Lake(settings))
    shown = tenants or sorted({tenant for table in tables for tenant in table.rows or ()})
    print_rows(
        ("table", *shown, "location"),
        [
            (
                table.name,
                *("-" if table.rows is None else f"{table.rows.get(t, 0):,}" for t in shown),
                table.location,
            )
            for table in tables
        ],
    )


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
