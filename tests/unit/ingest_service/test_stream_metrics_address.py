"""Where the consumer's page of metrics is."""

import socket
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge

from ingest_service.settings import StreamSettings
from ingest_service.stream.__main__ import _serve_metrics
from lakehouse.errors import EtaError


def test_it_is_on_this_machine_alone_unless_told() -> None:
    assert StreamSettings().metrics_host == "127.0.0.1"


def test_it_is_on_the_address_that_is_named(capsys: Any) -> None:
    registry = CollectorRegistry()
    Gauge("lag", "Lag.", registry=registry).set(3)
    server = _serve_metrics(StreamSettings(metrics_host="127.0.0.2"), 0, registry)
    try:
        url = f"http://127.0.0.2:{server.server_port}/metrics"
        assert url in capsys.readouterr().out
        assert "lag 3.0" in httpx.get(url).text
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{server.server_port}/metrics")
    finally:
        server.shutdown()
        server.server_close()


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EtaError, match=f"127.0.0.1:{port}") as raised:
            _serve_metrics(StreamSettings(), port, CollectorRegistry())
    assert "ETA_STREAM_METRICS_PORT" in raised.value.remedy
