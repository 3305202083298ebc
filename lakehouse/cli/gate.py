"""`eta gate`: whether each tenant's data is fit to be published."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.quality.gate import run_gate
from lakehouse.quality.outcomes import CheckOutcome
from lakehouse.settings import LakeSettings
from lakehouse.training.project_variables import project_variables


class LayerName(StrEnum):
    """The layers of tables that have checks, in the order they are built."""

    raw = "raw"
    staging = "staging"
    features = "features"
    training = "training"


def gate(
    tenant: Annotated[
        list[str] | None,
        typer.Option(help="Only this tenant (may be repeated); default: every tenant with rows."),
    ] = None,
    until: Annotated[
        LayerName,
        typer.Option(help="Last layer to check; `raw` needs no run of the models before."),
    ] = LayerName.training,
) -> None:
    """Check raw, staging, features and training tables; exit code 1 when a tenant fails."""
    settings = lake_settings()
    results = run_gate(settings, tenant or None, **_how(settings, until))
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
    for _, tenant_id, outcome in found:
        _note_samples(tenant_id, outcome)
    failed = [result.tenant_id for result in results.values() if not result.passed]
    report = next(iter(results.values())).report["report_file"]
    note(f"{len(results) - len(failed)} of {len(results)} tenants passed.")
    note(f"Report: {settings.home_dir / report}")
    if failed:
        raise typer.Exit(1)


def _note_samples(tenant_id: str, outcome: CheckOutcome) -> None:
    if outcome.samples:
        note(f"{tenant_id}, {outcome.check}: some of the rows, identifiers masked:")
    for row in outcome.samples:
        note("  " + "  ".join(f"{name}={value}" for name, value in row.items()))


def _how(settings: LakeSettings, until: LayerName) -> dict[str, Any]:
    """What `run_gate` is told of the layers; without training data it cannot look k up there."""
    if until is LayerName.training:
        return {}
    names = [layer.value for layer in LayerName]
    layers = tuple(names[: names.index(until.value) + 1])
    return {"layers": layers, "parameters": project_variables(settings)}
