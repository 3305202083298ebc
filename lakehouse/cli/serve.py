"""`eta serve`: the ingestion service."""

from typing import Annotated

import typer

from lakehouse.cli.process import become


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
) -> None:
    """Run the ingestion service until it is stopped (Ctrl-C)."""
    become("ingest_service", "--host", host, "--port", str(port))
