"""`eta serve`: the ingestion service."""

import subprocess
import sys
from typing import Annotated

import typer


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
) -> None:
    """Run the ingestion service until it is stopped (Ctrl-C)."""
    command = [sys.executable, "-m", "ingest_service", "--host", host, "--port", str(port)]
    process = subprocess.Popen(command)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        code = process.wait()  # the terminal told the service as well
    raise typer.Exit(code)
