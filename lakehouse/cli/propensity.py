"""`eta training propensity`: how much the position of an impression has to do with its click."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.whole_files import write_whole
from lakehouse.training.impression_counts import PositionCount, propensities


def propensity(
    tenant: Annotated[str, typer.Option(help="Id of the tenant.")],
    as_of: Annotated[
        datetime | None,
        typer.Option(help="Only what was shown, clicked and known by then (UTC) counts; now."),
    ] = None,
    page: Annotated[
        str | None,
        typer.Option(help="Only impressions of this page; default: of all pages."),
    ] = None,
    positions: Annotated[
        int, typer.Option(min=2, max=1000, help="Count positions up to this one.")
    ] = 50,
    to: Annotated[
        Path | None,
        typer.Option(help="File to write; default: `propensity/TENANT.json` in the home."),
    ] = None,
) -> None:
    """Estimate how likely each position is looked at; print it and write it as JSON.

    From impressions and clicks alone: an item that was shown at several positions tells what
    these have to do with its clicks (docs/propensity.md).
    """
    settings = lake_settings()
    moment = datetime.now(UTC) if as_of is None else as_of.replace(tzinfo=as_of.tzinfo or UTC)
    found = propensities(Lake(settings), tenant, moment, page=page, positions=positions)
    print_rows(
        ("position", "impressions", "clicks", "click rate", "propensity", "standard error"),
        [_row(one) for one in found.positions],
    )
    path = to or settings.home_dir / "propensity" / f"{tenant}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, found.to_json())
    except OSError as error:
        raise EtaError(
            f"{path} cannot be written: {error.strerror}", remedy="name another file with --to"
        ) from error
    note(f"Written to {path}.")
    if any(one.estimate.propensity is None for one in found.positions):
        note("A position with - shares too few clicked items with the others to be compared.")


def _row(one: PositionCount) -> tuple[object, ...]:
    numbers = (one.click_rate, one.estimate.propensity, one.estimate.standard_error)
    texts = [None if number is None else f"{number:.4f}" for number in numbers]
    return (one.position, f"{one.impressions:,}", f"{one.clicks:,}", *texts)
