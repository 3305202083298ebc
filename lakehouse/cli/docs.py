"""`eta docs`: the documentation site of the models."""

import contextlib
from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note
from lakehouse.errors import EtaError
from lakehouse.training.build import run_dbt
from lakehouse.training.docs_page import publish_docs


def docs(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
    output: Annotated[
        str | None,
        typer.Option(help="Do not serve: write one page, index.html, to this folder or bucket."),
    ] = None,
) -> None:
    """Build the dbt documentation and serve it until stopped (Ctrl-C), or write it somewhere."""
    settings = lake_settings()
    target = ["--target", settings.spark_target]
    note("Building the documentation")
    if output is not None:
        note(f"Wrote {publish_docs(settings, output)}")
        return
    outcome = run_dbt(settings, ["docs", "generate", *target])
    if not outcome.success:
        raise EtaError("the documentation could not be built", remedy="run `dbt docs generate`")
    note(f"Serving http://127.0.0.1:{port} until Ctrl-C")
    serve = ["docs", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with contextlib.suppress(KeyboardInterrupt):
        run_dbt(settings, [*serve, "--browser" if browser else "--no-browser"])
