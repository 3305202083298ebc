"""The entry of the `eta` command: the table of its commands, and the options of all of them."""

from contextlib import suppress
from typing import Annotated, Final

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.failures import EtaGroup
from lakehouse.cli.lazy import Place, Table
from lakehouse.cli.process import end_on_sigterm
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake

COMMANDS: Final[Table] = {
    "demo": Place(
        "lakehouse.cli.demo:demo",
        "Generate two tenants' data and take it through the service and the models.",
    ),
    "run": Place(
        "lakehouse.cli.run:run",
        "Upload files through the service and build features and training data from them.",
    ),
    "inspect": Place(
        "lakehouse.cli.inspect:inspect",
        "Say what a file is, propose a source mapping and show its rows under it; store nothing.",
    ),
    "serve": Place(
        "lakehouse.cli.serve:serve", "Run the ingestion service until it is stopped (Ctrl-C)."
    ),
    "upload": Place(
        "lakehouse.cli.upload:upload",
        "Send files (CSV, JSON, .xlsx, Parquet, Avro) to the service and say what "
        "became of the rows.",
    ),
    "upload-job": Place(
        "lakehouse.cli.upload:upload_job", "Say how far an upload is, or what became of its rows."
    ),
    "consume": Place(
        "lakehouse.cli.stream:consume",
        "Read the Kafka topics into the lake, exactly once, until stopped (Ctrl-C).",
    ),
    "produce": Place(
        "lakehouse.cli.stream:produce",
        "Send the rows of a CSV, NDJSON or Parquet file to their topic, one message each.",
    ),
    "plan": Place(
        "lakehouse.cli.plan:plan",
        "Show what `eta prepare` would do with each model's table, and why. Changes nothing.",
    ),
    "prepare": Place(
        "lakehouse.cli.prepare:prepare",
        "Build and test the models, check the result and publish the training sets that changed.",
    ),
    "gate": Place(
        "lakehouse.cli.gate:gate",
        "Check raw, staging, features and training tables; exit code 1 when a tenant fails.",
    ),
    "audit": Place(
        "lakehouse.cli.audit:audit",
        "Check the training tables for leaks from the future; exit code 1 when one is found.",
    ),
    "status": Place(
        "lakehouse.cli.status:status",
        "Show where the lake is, each table's rows per tenant, the newest jobs and lost lineage.",
    ),
    "upgrade": Place(
        "lakehouse.cli.upgrade:upgrade",
        "Bring the control database, the lake and its tables up to what this version needs.",
    ),
    "docs": Place(
        "lakehouse.cli.docs:docs",
        "Build the dbt documentation and serve it until stopped (Ctrl-C), or write it somewhere.",
    ),
    "dbt": Place(
        "lakehouse.cli.dbt:dbt",
        "Run a dbt command on the models, from any folder: `eta dbt build --select user_features`.",
        {"add_help_option": False, "context_settings": {"ignore_unknown_options": True}},
    ),
    "export": Place(
        "lakehouse.cli.export:export",
        "Write a snapshot's rows to a folder, which appears whole or not at all.",
    ),
    "export-apply": Place(
        "lakehouse.cli.export:apply",
        "Put deltas onto an export: the export of the last one's snapshot, whole or not at all.",
    ),
    "export-clean": Place(
        "lakehouse.cli.export_clean:clean",
        "Delete the hidden folders that killed exports have left, and say which.",
    ),
    "dags": Place("lakehouse.cli.dags:app", "Prepare what the Airflow DAGs need."),
    "runs": Place(
        "lakehouse.cli.runs:app",
        "See the runs of the models; `begin`, `check`, `publish` and `end` are for a scheduler.",
    ),
    "runs begin": Place(
        "lakehouse.cli.run_steps:begin",
        "Take the lock and decide what the run has to do; print that as JSON.",
    ),
    "runs check": Place(
        "lakehouse.cli.run_steps:check",
        "Check the tenants of the run and note the verdicts; print who did not pass as JSON.",
    ),
    "runs publish": Place(
        "lakehouse.cli.run_steps:publish",
        "Publish what changed and passed the run's check; print what became of each as JSON.",
    ),
    "runs verdict": Place(
        "lakehouse.cli.run_steps:verdict",
        "Say what the run's check found for a tenant; exit code 1 when it did not pass.",
    ),
    "runs end": Place(
        "lakehouse.cli.run_steps:end",
        "Note the rows of each model, free the lock, end the run; write its metrics and quality.",
    ),
    "runs late": Place(
        "lakehouse.cli.run_steps:late",
        "Note that a run missed its deadline, if it did, for the metrics and `eta runs show`.",
    ),
    "runs list": Place(
        "lakehouse.cli.runs:list_", "List runs, newest first, and say which one holds the lock."
    ),
    "runs show": Place("lakehouse.cli.runs:show", "Print everything known of a run as JSON."),
    "runs release": Place(
        "lakehouse.cli.runs:release",
        "Free the lock of a run that you know to be dead; a living one would be disturbed.",
    ),
    "runs freshness": Place(
        "lakehouse.cli.run_monitoring:freshness",
        "Show how long received rows have waited to be published; exit code 1 "
        "beyond the objective.",
    ),
    "runs arrivals": Place(
        "lakehouse.cli.run_monitoring:arrivals",
        "Show the rows that came per tenant since the newest run of all tenants began.",
    ),
    "runs metrics": Place(
        "lakehouse.cli.run_monitoring:metrics",
        "Print the last runs as Prometheus metrics (for a textfile collector).",
    ),
    "training": Place(
        "lakehouse.cli.training:app",
        "List, show, compare and describe published training sets.",
    ),
    "training propensity": Place(
        "lakehouse.cli.propensity:propensity",
        "Estimate how likely each position is looked at; print it and write it as JSON.",
    ),
    "trace": Place(
        "lakehouse.cli.trace:trace",
        "Follow a row of a training set back to the line or message that it came in with.",
    ),
    "evaluation": Place(
        "lakehouse.cli.evaluation:app",
        "Make, list, show and export evaluation snapshots: train, validation and test by time.",
    ),
    "ledger": Place("lakehouse.cli.ledger:app", "See and check where received rows are."),
    "quality": Place("lakehouse.cli.quality:app", "How good each tenant's data is."),
    "quarantine": Place("lakehouse.cli.quarantine:app", "See, correct and take in refused rows."),
    "privacy": Place("lakehouse.cli.privacy:app", "Erase people and prove it."),
    "privacy erase": Place(
        "lakehouse.cli.privacy_erase:erase",
        "Ask for people to be erased: from now on nothing of them is stored. Prints "
        "the request's id.",
    ),
    "privacy status": Place(
        "lakehouse.cli.privacy:status",
        "Show how far erasures are; exit code 1 when one is open for more than 12 hours.",
    ),
    "privacy work": Place(
        "lakehouse.cli.privacy_erase:work",
        "Carry out open erasures as far as possible; exit code 1 when one is late.",
    ),
    "privacy verify": Place(
        "lakehouse.cli.privacy_verify:verify",
        "Look for people everywhere, or check a certificate; exit code 1 when something is found.",
    ),
    "privacy lift": Place(
        "lakehouse.cli.privacy_erase:lift",
        "Let people be stored again who were erased; noted in the audit log.",
    ),
    "privacy withdraw": Place(
        "lakehouse.cli.privacy:withdraw",
        "End a request that is not completed: it is carried out no further.",
    ),
    "privacy policy": Place(
        "lakehouse.cli.privacy:policy",
        "Show or set what becomes of texts that mention an erased person: titles, links, "
        "free text.",
    ),
    "privacy export": Place(
        "lakehouse.cli.privacy_export:export",
        "Write a person's data to a zip that its owner alone may read; it appears "
        "whole or not at all.",
    ),
    "privacy check-certificate": Place(
        "lakehouse.cli.privacy_certificate:check_certificate",
        "Check a certificate: its signature, then the lake, where there is one.",
    ),
    "privacy reapply": Place(
        "lakehouse.cli.privacy_reapply:reapply",
        "After a backup was restored: find people who had been erased, erase them again.",
    ),
    "privacy public-key": Place(
        "lakehouse.cli.privacy:public_key",
        "Print the public key (PEM) with which anybody can check this installation's certificates.",
    ),
    "tables": Place("lakehouse.cli.tables:app", "See and keep the tables' health."),
    "retention": Place(
        "lakehouse.cli.retention:app", "See and apply how long data stays, and in which storage."
    ),
    "tenants": Place("lakehouse.cli.tenants:app", "Add tenants and change their settings."),
    "keys": Place("lakehouse.cli.keys:app", "Make, rotate and revoke API keys."),
    "webhooks": Place("lakehouse.cli.webhooks:app", "Let other systems send signed messages."),
    "db": Place("lakehouse.cli.db:app", "Upgrade the control database."),
    "schemas": Place(
        "lakehouse.cli.schemas:app", "The Avro schemas of messages and the schema registry."
    ),
    "spark": Place(
        "lakehouse.cli.spark:app",
        "Spark clusters: their configuration, and which driver writes the lake.",
    ),
    "dev": Place(
        "lakehouse.cli.dev:app",
        "Start and end servers for development: plain processes on 127.0.0.1, no Docker.",
    ),
    "dev kafka": Place(
        "lakehouse.cli.dev_kafka:app", "A Kafka broker (KRaft) with the project's topics."
    ),
    "dev registry": Place(
        "lakehouse.cli.dev_registry:app", "A Confluent-compatible schema registry."
    ),
    "dev s3": Place(
        "lakehouse.cli.dev_s3:app", "A local S3 with a bucket for the lake, in memory."
    ),
    "dev spark": Place(
        "lakehouse.cli.dev_spark:app",
        "One long-lived Spark for dbt, the checks and the tasks of a scheduler.",
    ),
    "dev airflow": Place(
        "lakehouse.cli.dev_airflow:app",
        "A local Airflow on 127.0.0.1 with the DAGs loaded, its tasks on one shared Spark.",
    ),
}
"""Commands by their words. A group whose module defines its commands has no rows for them."""


class Eta(EtaGroup):
    """`eta` itself."""

    table = COMMANDS


app = typer.Typer(
    name="eta",
    help="From raw behaviour to a training set: ingest, prepare, check and erase.",
    cls=Eta,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version  # not cheap, and nobody else needs it

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
