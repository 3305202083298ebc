"""Makes `python -m lakehouse.cli` the same as `eta`."""

from lakehouse.cli.main import app

app(prog_name="eta")
