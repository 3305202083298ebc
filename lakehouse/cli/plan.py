"""`eta plan`: what a run of the models would do."""

from typing import Annotated, Any, Final

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.training.run_plan import ModelPlan, plan_run

_COLUMNS: Final = ("model", "mode", "why", "tenants", "users", "reads", "seconds")
_TENANTS_NAMED: Final = 3


def plan(
    tenant: Annotated[
        str | None, typer.Option(help="Only this tenant; default: every tenant with new data.")
    ] = None,
    full_refresh: Annotated[
        bool, typer.Option(help="As if everything were to be recomputed.")
    ] = False,
    cutoff: Annotated[
        str | None, typer.Option(help="Only rows known by this time (UTC, ISO 8601) count.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the negative sampling.")] = None,
    select: Annotated[
        list[str] | None, typer.Option(help="Models, as dbt selects them; default: all.")
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            help="End with exit code 1 if anything is recomputed as a whole that was not requested."
        ),
    ] = False,
) -> None:
    """Show what `eta prepare` would do with each model's table, and why. Changes nothing.

    Columns: what would be done (UNCHANGED, CHANGED, REPLACED, REBUILT); why; the tenants with
    changes; about how many users they touch; per parent the Delta version that the table has read
    and the newest one; and the median seconds of the last runs that did the same.
    """
    given: dict[str, Any] = {"cutoff": cutoff, "seed": seed}
    found = plan_run(
        lake_settings(),
        tenant_id=tenant,
        full_refresh=full_refresh,
        variables={name: value for name, value in given.items() if value is not None},
        select=select or (),
    )
    print_rows(_COLUMNS, [_row(model) for model in found])
    known = [model.seconds for model in found if model.seconds is not None]
    changing = [model for model in found if model.mode != "UNCHANGED"]
    whole = [model.model for model in found if model.is_whole]
    note(
        f"{len(changing)} of {len(found)} models would change, {len(whole)} of them as a whole"
        + (f"; about {sum(known):.0f} s by earlier runs" if known else "")
    )
    if strict and whole and not (full_refresh or tenant):
        note(f"recomputed as a whole without a request: {', '.join(whole)}")
        raise typer.Exit(1)


def _row(model: ModelPlan) -> tuple[object, ...]:
    named = ", ".join(model.tenants[:_TENANTS_NAMED])
    more = len(model.tenants) - _TENANTS_NAMED
    return (
        model.model,
        model.mode,
        model.reason,
        "all" if model.is_whole else (f"{named} and {more:,} more" if more > 0 else named) or "-",
        f"{model.users:,}" if model.users else "-",
        ", ".join(f"{name} {_versions(*pair)}" for name, pair in model.reads.items()),
        None if model.seconds is None else f"{model.seconds:.1f}",
    )


def _versions(held: int | None, newest: int) -> str:
    return str(newest) if held == newest else f"{'-' if held is None else held}→{newest}"
