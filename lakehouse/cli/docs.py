"""`eta docs`: the documentation site of the models."""

from typing import Annotated

import typer


def docs(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Build the dbt documentation and serve it until stopped (Ctrl-C)."""
    import contextlib

    from lakehouse.cli.output import note
    from lakehouse.settings import LakeSettings
    from lakehouse.training.build import run_dbt

    settings = LakeSettings()
    note("Building the documentation")
    run_dbt(settings, ["docs", "generate"])
    note(f"Serving http://127.0.0.1:{port} until Ctrl-C")
    serve = ["docs", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with contextlib.suppress(KeyboardInterrupt):
        run_dbt(settings, [*serve, "--browser" if browser else "--no-browser"])
