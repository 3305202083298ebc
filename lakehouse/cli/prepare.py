"""`eta prepare`: from raw rows to features and training data."""

from typing import Annotated

import typer

from lakehouse.cli.building import build_with_progress
from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note
from lakehouse.cli.summary import print_overview
from lakehouse.jobs import prepare as job
from lakehouse.settings import LakeSettings
from lakehouse.training.prepare import Published
from lakehouse.training.run_parameters import RunParameters, read_parameters

TenantOption = Annotated[
    str | None, typer.Option(help="Only this tenant; default: every tenant with new data.")
]


def prepare(
    tenant: TenantOption = None,
    full_refresh: Annotated[
        bool, typer.Option(help="Recompute everything instead of what changed.")
    ] = False,
    cutoff: Annotated[
        str | None, typer.Option(help="Only rows known by this time (UTC, ISO 8601) count.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the negative sampling.")] = None,
    strict: Annotated[
        bool, typer.Option(help="Refuse to compute anything as a whole that was not requested.")
    ] = False,
) -> None:
    """Build and test the models, check the result and publish the training sets that changed.

    `eta plan` shows beforehand what it would do. Ends with exit code 1 when a tenant does not pass
    the checks; the others are published.
    """
    given = {"tenant_id": tenant, "full_refresh": full_refresh, "cutoff": cutoff, "seed": seed}
    settings = lake_settings()
    published = prepare_and_tell(settings, read_parameters(given), is_strict=strict)
    print_overview(settings, [tenant] if tenant else None)
    end_if_refused(published)


def prepare_and_tell(
    settings: LakeSettings, parameters: RunParameters | None = None, *, is_strict: bool = False
) -> Published:
    """Prepare with a line of progress per model; say on stderr what became of each tenant."""
    published = job.prepare(
        settings,
        parameters or RunParameters(),
        is_strict=is_strict,
        build=build_with_progress,
        on_step=note,
    )
    for manifest in published.new:
        how = "published" if manifest.gate else "published UNCHECKED"
        note(
            f"{manifest.tenant_id}: {how} {manifest.snapshot_id}, "
            f"{manifest.counts.positives:,} positives, {manifest.counts.negatives:,} negatives"
        )
    for manifest in published.unchanged:
        note(f"{manifest.tenant_id}: unchanged, {manifest.snapshot_id} stays current")
    for name, reason in published.refused.items():
        note(f"{name}: NOT published, its earlier snapshot stays current: {reason}")
    return published


def end_if_refused(published: Published) -> None:
    """End the command with exit code 1 when the gate refused a tenant."""
    if not published.is_success:
        note(
            "What to do: `eta gate` shows each failed check and a command that shows more; "
            "`eta dbt test --select NAME` repeats a dbt test."
        )
        raise typer.Exit(1)
