"""`eta spark`: what a Spark that `eta` did not start needs to know, and which one writes."""

import re
from typing import Annotated, Any, Literal

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows

app = typer.Typer(
    help="Spark clusters: their configuration, and which driver writes the lake.",
    no_args_is_help=True,
)


def one_word(value: str | None) -> str | None:
    """Refuse what would be no value, or several lines, in a file of settings."""
    if value is not None and (
        not value or any(not one.isprintable() or one == " " for one in value)
    ):
        raise typer.BadParameter("one word is needed, as spark://host:7077")
    return value


def memory(value: str | None) -> str | None:
    """Refuse what Spark does not take for a size."""
    if value is not None and re.fullmatch(r"[1-9][0-9]*(k|m|g|t)b?", value.lower()) is None:
        raise typer.BadParameter("a number and a unit are needed, as 4g or 512m")
    return value


@app.command()
def config(
    form: Annotated[
        Literal["conf", "arguments", "json"],
        typer.Option(
            "--format",
            help="conf: spark-defaults.conf; arguments: of spark-submit; json.",
        ),
    ] = "conf",
    master: Annotated[
        str | None,
        typer.Option(help="The cluster, as `spark://host:7077` or `yarn`.", callback=one_word),
    ] = None,
    cores: Annotated[
        int | None, typer.Option(min=1, help="Cores of all executors together.")
    ] = None,
    executor_cores: Annotated[int | None, typer.Option(min=1, help="Cores of each.")] = None,
    executor_memory: Annotated[
        str | None,
        typer.Option(help="Memory of each, as Spark writes it: `4g`.", callback=memory),
    ] = None,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="With the credentials of ETA_STORAGE_OPTIONS.")
    ] = False,
) -> None:
    """Print what a cluster's Connect server has to be configured with for this lake."""
    from lakehouse.spark.cluster import (
        Resources,
        cluster_configuration,
        cluster_jars,
        rendered,
    )

    settings = lake_settings()
    resources = Resources(master, cores, executor_cores, executor_memory)
    found = cluster_configuration(settings, cluster_jars(settings), resources)
    typer.echo(rendered(settings, found, form, with_secrets=secrets))


@app.command()
def driver() -> None:
    """Show which Spark driver may write the lake in a bucket, and until when if it is silent."""
    from lakehouse.spark.driver_lease import DriverLease
    from lakehouse.storage.lake import Lake

    lease, now = DriverLease(Lake(lake_settings())).current()
    until = None if lease is None else lease.held_until(now)
    if lease is None or until is None:
        note("No Spark driver writes this lake: any may begin.")
        return
    process: Any = lease.process.pid if lease.process else None
    print_rows(
        ("driver", "address", "process", "writers", "since", "until, if silent"),
        [
            (
                lease.driver.name,
                lease.driver.address,
                process,
                sum(end > now for end in lease.writers.values()),
                lease.taken_at,
                until,
            )
        ],
    )


@app.command()
def release() -> None:
    """Free the lake of a driver that you know to have ended; a living one could lose commits."""
    from lakehouse.spark.driver_lease import DriverLease
    from lakehouse.storage.lake import Lake

    leases = DriverLease(Lake(lake_settings()))
    _, now = leases.current()
    lease = leases.release()
    if lease is None or lease.held_until(now) is None:
        note("No driver had it.")
        return
    note(f"{lease.driver.name} has it no longer.")
    if count := sum(end > now for end in lease.writers.values()):
        note(
            f"{count} of its commands had the lease still. One that is alive after all may write "
            "until its next renewal, within a minute, and then ends with an error."
        )
    if lease.process is not None and lease.is_seen:
        note(
            f"Its process {lease.process.pid} is alive on this machine: end it with `eta dev spark "
            "down` before another begins."
        )
