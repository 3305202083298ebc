"""Consumes the topics: `python -m ingest_service.stream`, which `eta consume` runs."""

import argparse
import logging
import signal
import sys
from threading import Event
from typing import Any, Final

from prometheus_client import CollectorRegistry, start_http_server

from ingest_service.settings import (
    ServiceSettings,
    StreamSettings,
    prepare_process,
    settle_process,
)
from lakehouse.errors import EtaError
from lakehouse.extras import missing_extra
from lakehouse.settings import LakeSettings

HALTED: Final = 3
"""Exit code when the consumer has stopped by itself and a person has to look."""


def main() -> int:
    """Consume until told to stop (SIGTERM, Ctrl-C); return the exit code."""
    prepare_process()
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.ERROR)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    try:
        return _consume(options, stop)
    except EtaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if (missing := missing_extra(error)) is None:
            raise
        print(f"error: {missing}", file=sys.stderr)
        return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ingest_service.stream", description=__doc__)
    parser.add_argument(
        "--reread", action="append", default=[], metavar="TOPIC", help="read from its beginning"
    )
    return parser.parse_args()


def _consume(options: argparse.Namespace, stop: Event) -> int:
    # polars and arrow read their settings when they are imported, so not before now.
    from ingest_service.sources.kafka.sink import StreamHaltError
    from ingest_service.sources.kafka.status import HALTED as IS_HALTED
    from ingest_service.sources.kafka.wiring import build_consumer

    settings = StreamSettings()
    consumer, metrics, status = build_consumer(
        LakeSettings(), ServiceSettings(), settings, stop, frozenset(options.reread)
    )
    settle_process()
    server: Any = None
    if settings.metrics_port is not None:
        server = _serve_metrics(settings, settings.metrics_port, metrics.registry)
    try:
        consumer.run()
    except StreamHaltError as halt:
        status.set(IS_HALTED, f"{halt.alarm}: {halt.message}")
        print(f"halted: {halt}", file=sys.stderr)
        return HALTED
    finally:
        if server is not None:
            server.shutdown()
    status.remove()
    return 0


def _serve_metrics(settings: StreamSettings, port: int, registry: CollectorRegistry) -> Any:
    """Serve the metrics in a thread; raises `EtaError` when the address cannot be had."""
    host = settings.metrics_host
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise EtaError(
            f"cannot listen on {host}:{port} ({error.strerror})",
            remedy="set ETA_STREAM_METRICS_HOST and ETA_STREAM_METRICS_PORT to a free address "
            "of this machine",
        ) from error
    print(f"metrics on http://{host}:{server.server_port}/metrics", flush=True)
    return server


if __name__ == "__main__":
    sys.exit(main())
