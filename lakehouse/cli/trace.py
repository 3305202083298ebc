"""`eta trace`: from a row of a training set back to the line or message it came in with."""

from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import print_rows
from lakehouse.storage.lake import Lake
from lakehouse.training.publish import find_snapshot


def trace(
    user: Annotated[str, typer.Argument(help="Id of the user, as it was sent.")],
    item: Annotated[str, typer.Argument(help="Id of the item, as it was sent.")],
    tenant: Annotated[str, typer.Option(help="Id of the tenant.")],
    snapshot: Annotated[
        str, typer.Option(help="A snapshot's id, or `current`: whose rows are looked at.")
    ] = "current",
) -> None:
    """Follow a row of a training set back to the line or message that it came in with.

    A drawn negative leads to the events of the positive that it was drawn for.
    """
    from lakehouse.training.trace import trace as steps_of

    lake = Lake(lake_settings())
    found = steps_of(lake, find_snapshot(lake, tenant, snapshot), user, item)
    print_rows(("step", "table", "what"), [(one.kind, one.table, one.text) for one in found])
