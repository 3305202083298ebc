"""Serves the gauges of quality over HTTP.

The page is written here: at 18,000 samples prometheus-client takes 60 ms of processor time to write
it and 60 to pack it; this takes 19 and does not pack. Families are the library's, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Thread
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import Metric
from prometheus_client.exposition import ThreadingWSGIServer

from lakehouse.errors import EtaError
from lakehouse.quality.metrics import QualityMetrics
from lakehouse.storage.lake import Lake

PATH: Final = "/metrics"


def serve_metrics(lake: Lake, host: str, port: int, most_tenants: int) -> WSGIServer:
    """Serve `/metrics` in a thread; return the server, which has `server_port`.

    A scrape during which the lake cannot be read is answered with 500, and Prometheus' `up` is 0.
    Raises `EtaError` when the lake cannot be read now or the port is taken.
    """
    metrics = QualityMetrics(lake, most_tenants=most_tenants)
    page(metrics.collect())  # the first look reads everything: before anyone waits for it
    try:
        server = make_server(host, port, _app(metrics), ThreadingWSGIServer, _QuietHandler)
    except OSError as error:
        raise EtaError(
            f"cannot listen on {host}:{port} ({error.strerror})",
            remedy="choose another port with `--port`",
        ) from error
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def page(families: Iterable[Metric]) -> bytes:
    """Return gauges in Prometheus' text format. Labels are ids: there is nothing to escape."""
    return "".join(_lines(families)).encode()


def _lines(families: Iterable[Metric]) -> Iterator[str]:
    for family in families:
        yield f"# HELP {family.name} {family.documentation}\n# TYPE {family.name} {family.type}\n"
        for sample in family.samples:
            labels = ",".join([f'{name}="{text}"' for name, text in sample.labels.items()])
            place = f"{{{labels}}}" if labels else ""
            yield f"{sample.name}{place} {sample.value!r}\n"


def _app(metrics: QualityMetrics) -> Callable[..., list[bytes]]:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "GET":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"the metrics are at /metrics\n"]
        body = page(metrics.collect())
        headers = [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]

    return answer


class _QuietHandler(WSGIRequestHandler):
    """Logs no requests: there are two a minute, for ever."""

    timeout = 30

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""
