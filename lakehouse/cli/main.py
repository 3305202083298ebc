"""The entry of the `eta` command; each command module adds itself in one line below."""

from contextlib import suppress
from typing import Annotated

import typer

from lakehouse.cli import (
    audit,
    dags,
    db,
    dbt,
    demo,
    dev,
    dev_airflow,
    dev_spark,
    docs,
    evaluation,
    export,
    gate,
    inspect,
    keys,
    ledger,
    plan,
    prepare,
    privacy,
    privacy_certificate,
    privacy_export,
    privacy_reapply,
    quality,
    quarantine,
    retention,
    run,
    runs,
    schemas,
    serve,
    status,
    stream,
    tables,
    tenants,
    training,
    upload,
    webhooks,
)
from lakehouse.cli.control import lake_settings
from lakehouse.cli.failures import EtaGroup
from lakehouse.cli.process import end_on_sigterm
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake

app = typer.Typer(
    name="eta",
    help="From raw behaviour to a training set: ingest, prepare, check and erase.",
    cls=EtaGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("inspect")(inspect.inspect)
app.command("serve")(serve.serve)
app.command("upload")(upload.upload)
app.command("upload-job")(upload.upload_job)
app.command("consume")(stream.consume)
app.command("produce")(stream.produce)
app.command("plan")(plan.plan)
app.command("prepare")(prepare.prepare)
app.command("gate")(gate.gate)
app.command("audit")(audit.audit)
app.command("status")(status.status)
app.command("docs")(docs.docs)
app.command(
    "dbt",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)(dbt.dbt)
app.command("export")(export.export)
app.add_typer(dags.app, name="dags")
app.add_typer(runs.app, name="runs")
app.add_typer(training.app, name="training")
app.add_typer(evaluation.app, name="evaluation")
app.add_typer(ledger.app, name="ledger")
app.add_typer(quality.app, name="quality")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(privacy.app, name="privacy")
privacy.app.command("export")(privacy_export.export)
privacy.app.command("check-certificate")(privacy_certificate.check_certificate)
privacy.app.command("reapply")(privacy_reapply.reapply)
privacy.app.command("public-key")(privacy_certificate.public_key)
app.add_typer(tables.app, name="tables")
app.add_typer(retention.app, name="retention")
app.add_typer(tenants.app, name="tenants")
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(db.app, name="db")
app.add_typer(schemas.app, name="schemas")
app.add_typer(dev.app, name="dev")
dev.app.add_typer(dev_spark.app, name="spark")
dev.app.add_typer(dev_airflow.app, name="airflow")


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"eta {version('eta-lakehouse')}")
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[  # noqa: ARG001 - read from the context
        bool, typer.Option(envvar="ETA_DEBUG", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Options of every command; `EtaGroup` reads `debug`."""
    end_on_sigterm()
    _restrict_files()


def _restrict_files() -> None:
    with suppress(EtaError):  # outside of a project: who needs one says so
        Lake(lake_settings()).restrict()
