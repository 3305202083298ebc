"""Starts the service: `python -m ingest_service --port 8000`."""

import argparse
import logging
import math
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import uvicorn

from ingest_service.settings import (
    ServiceSettings,
    allow_open_files,
    prepare_process,
    settle_process,
)
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.whole_files import write_whole

FILES: Final = 1_024
"""What the process may have open besides connections."""


def main() -> int:
    """Serve until told to stop; return the exit code."""
    prepare_process()
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        _serve(options)
    except EtaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ingest_service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port; 0 takes a free one")
    parser.add_argument(
        "--port-file", type=Path, help="file to write the port to once requests are served"
    )
    return parser.parse_args()


def _serve(options: argparse.Namespace) -> None:
    # polars and arrow read their settings when they are imported, so not before now.
    from ingest_service.api.app import create_app
    from ingest_service.api.connections import Connections, TrustedProxies
    from ingest_service.api.middleware import ConnectionLimits, limited_protocol
    from ingest_service.wiring import build_services

    settings = ServiceSettings()
    allow_open_files(settings.max_connections + FILES)
    lake = LakeSettings()
    Lake(lake).restrict()
    services = build_services(lake, settings)
    app = create_app(services)
    connections = Connections(
        settings.max_connections,
        settings.connections_per_client,
        TrustedProxies(settings.trusted_proxies),
        lambda limit: services.metrics.connections_over.labels(limit).inc(),
    )
    limits = ConnectionLimits(
        connections,
        settings.header_seconds,
        settings.max_header_bytes,
        settings.answer_idle_seconds,
        services.metrics.malformed.inc,
    )
    config = uvicorn.Config(
        app,
        http=limited_protocol(limits),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_seconds),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    listening = socket.create_server((options.host, options.port), backlog=config.backlog)
    port = listening.getsockname()[1]

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                settle_process()
                _announce(options.host, port, options.port_file)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            services.stopping.begin()
            await super().shutdown(sockets)

    with suppress(KeyboardInterrupt):  # uvicorn has ended as it should, and raises it then
        Server(config).run(sockets=[listening])


def _announce(host: str, port: int, port_file: Path | None) -> None:
    print(f"listening on http://{host}:{port}", flush=True)
    if port_file is not None:
        write_whole(port_file, f"{port}\n")


if __name__ == "__main__":
    sys.exit(main())
