"""`eta consume` and `eta produce`: topics into the lake, and files into topics."""

import json
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.cli.process import become
from lakehouse.cli.stream_status import consumer_states
from lakehouse.contracts.kinds import DataType
from lakehouse.errors import EtaError


class MessageFormat(StrEnum):
    """What messages are written in."""

    JSON = "json"
    AVRO = "avro"


def consume(
    reread: Annotated[
        list[str] | None,
        typer.Option(metavar="TOPIC", help="Read this topic from its beginning; may be repeated."),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Show the consumers of this home and end.")
    ] = False,
) -> None:
    """Read the Kafka topics into the lake, exactly once, until stopped (Ctrl-C).

    Any number may run at once; they share the partitions. Exit code 3: it has halted, and says
    why and what to do.
    """
    if status:
        _show_status()
        return
    become("ingest_service.stream", *(f"--reread={topic}" for topic in reread or ()))


def produce(
    file: Annotated[
        Path, typer.Argument(help="The file.", exists=True, dir_okay=False, readable=True)
    ],
    tenant: Annotated[str, typer.Option(help="The tenant's id.")],
    data_type: Annotated[
        DataType, typer.Option("--type", help="What the rows are; it decides on the topic.")
    ] = DataType.INTERACTIONS,
    message_format: Annotated[
        MessageFormat, typer.Option("--format", help="What messages are written in.")
    ] = MessageFormat.JSON,
    rate: Annotated[
        float, typer.Option(min=0, help="Messages per second; 0: as fast as it goes.")
    ] = 0,
) -> None:
    """Send the rows of a CSV, NDJSON or Parquet file to their topic, one message each."""
    command = [sys.executable, "-m", "ingest_service.stream.produce_command", str(file)]
    command += ["--tenant", tenant, "--type", data_type.value]
    command += ["--format", message_format.value, "--rate", str(rate)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    try:
        answer = json.loads(ended.stdout)
    except ValueError:
        raise EtaError(
            "sending broke off",
            remedy="run the same command again: an event that arrives twice is stored once",
        ) from None
    if "error" in answer:
        raise EtaError(answer["error"], remedy=answer["remedy"])
    typer.echo(f"{answer['delivered']:,} of {answer['sent']:,} messages delivered")
    note(f"in {answer['seconds']} s; `eta consume` stores them")


def _show_status() -> None:
    states = consumer_states(lake_settings().home_dir / "stream")
    if not states:
        note("No consumer of this home is running.")
        return
    columns = ("process", "state", "since", "lag", "detail")
    print_rows(columns, [(s.pid, s.state, s.since, s.lag, s.detail) for s in states])
    for remedy in dict.fromkeys(remedy for s in states for remedy in s.remedies):
        note(f"What to do: {remedy}")
