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
    strict: Annotated[
        bool, typer.Option(help="Refuse to compute anything as a whole that was not requested.")
    ] = False,
) -> None:
    """Build and test the models, check the result and publish the training sets that changed.

    `eta plan` shows beforehand what it would do. Ends with exit code 1 when a tenant does not pass
    the checks; the others are published.
    """
    from lakehouse.cli.publishing import end_if_refused, prepare_and_tell
    from lakehouse.cli.summary import print_overview
    from lakehouse.settings import LakeSettings

    settings = LakeSettings()
    given: dict[str, Any] = {"cutoff": cutoff, "seed": seed}
    variables = {name: value for name, value in given.items() if value is not None}
    published = prepare_and_tell(
        settings,
        tenant_id=tenant,
        full_refresh=full_refresh,
        variables=variables,
        is_strict=strict,
    )
    print_overview(settings, [tenant] if tenant else None)
    end_if_refused(published)
