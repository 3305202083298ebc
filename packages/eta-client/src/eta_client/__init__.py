"""The client for Python programs: events are kept on disk at once and sent in the background.

    from eta_client import EtaClient

    with EtaClient("https://ingest.example.com", api_key) as client:
        client.track("user-1", "sku-77", "click")

Needs httpx and nothing else.
"""

from eta_client.async_client import AsyncEtaClient
from eta_client.client import EtaClient
from eta_client.errors import (
    EventTooLargeError,
    FlushTimeoutError,
    SdkError,
    SpoolFullError,
)
from eta_client.events import Rejected, Warned
from eta_client.options import ClientOptions

__all__ = [
    "AsyncEtaClient",
    "ClientOptions",
    "EtaClient",
    "EventTooLargeError",
    "FlushTimeoutError",
    "Rejected",
    "SdkError",
    "SpoolFullError",
    "Warned",
]
