"""`eta prepare`: from raw rows to features and training data."""

from typing import Annotated, Any

import typer

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
) -> None:
    """Build and test the models on what is in the lake."""
    from lakehouse.cli.building import build_with_progress
    from lakehouse.cli.summary import print_overview
    from lakehouse.settings import LakeSettings

    settings = LakeSettings()
    given: dict[str, Any] = {"cutoff": cutoff, "seed": seed}
    variables = {name: value for name, value in given.items() if value is not None}
    build_with_progress(settings, tenant_id=tenant, full_refresh=full_refresh, variables=variables)
    print_overview(settings, [tenant] if tenant else None)
