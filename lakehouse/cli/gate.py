"""`eta gate`: whether each tenant's data is fit to be published."""

from typing import Annotated

import typer


def gate(
    tenant: Annotated[
        list[str] | None,
        typer.Option(help="Only this tenant (may be repeated); default: every tenant with rows."),
    ] = None,
) -> None:
    """Check raw, staging and training tables; exit code 1 when a tenant fails."""
    from lakehouse.cli.output import note, print_rows
    from lakehouse.quality.gate import run_gate
    from lakehouse.settings import LakeSettings

    settings = LakeSettings()
    results = run_gate(settings, tenant or None)
    if not results:
        note("No tenant has rows yet: `eta demo` or `eta run` brings some.")
        return
    found = [
        (verdict, result.tenant_id, outcome)
        for result in results.values()
        for verdict, outcomes in (("FAIL", result.failures), ("warn", result.warnings))
        for outcome in outcomes
    ]
    if found:
        print_rows(
            ("verdict", "tenant", "check", "table", "measured", "expected", "what", "see"),
            [
                (verdict, tenant_id, o.check, o.table, o.measured, o.expected, o.sentence, o.see)
                for verdict, tenant_id, o in found
            ],
        )
    failed = [result.tenant_id for result in results.values() if not result.passed]
    report = next(iter(results.values())).report["report_file"]
    note(f"{len(results) - len(failed)} of {len(results)} tenants passed.")
    note(f"Report: {settings.home_dir / report}")
    if failed:
        raise typer.Exit(1)
