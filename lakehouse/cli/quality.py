"""`eta quality`: measure how good the tenants' data is, show it, and serve it to Prometheus."""

import signal
from threading import Event
from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.cli.quality_report import report
from lakehouse.jobs.measure import measure
from lakehouse.quality.exporter import serve_metrics as serve
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

app = typer.Typer(help="How good each tenant's data is.", no_args_is_help=True)
app.command()(report)


@app.command()
def refresh(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant; default: all.")] = None,
) -> None:
    """Measure what came since the last time; append it to ops.data_quality."""
    rows = measure(lake_settings(), tenant_id=tenant)
    if rows.is_empty():
        note("Nothing is new since the last measurement.")
        return
    columns = ["tenant_id", "data_type", "received_count", "freshness_hours"]
    columns += [f"{n}_percent" for n in ("completeness", "validity", "uniqueness", "consistency")]
    told = rows.select(*columns, "score").iter_rows()
    print_rows([*columns, "score"], [[_rounded(value) for value in row] for row in told])


@app.command("serve-metrics")
def serve_metrics(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 9109,
    max_tenants: Annotated[
        int, typer.Option(min=1, help="Most tenants with gauges of their own.")
    ] = 1_000,
) -> None:
    """Serve the measures to Prometheus until stopped; reads Delta tables, needs no Spark."""
    stop = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    lake = Lake(lake_settings())
    ensure_tables(lake)
    server = serve(lake, host, port, max_tenants)
    typer.echo(f"metrics on http://{host}:{server.server_port}/metrics")
    stop.wait()
    server.shutdown()
    server.server_close()


def _rounded(value: object) -> object:
    return round(value, 2) if isinstance(value, float) else value
