"""The client for Python programs: events are kept on disk at once and sent in the background.

    from ingest_service.sdk import EtaClient

    with EtaClient("https://ingest.example.com", api_key) as client:
        client.track("user-1", "sku-77", "click")

Needs httpx and nothing else of the service.
"""

from ingest_service.sdk.async_client import AsyncEtaClient
from ingest_service.sdk.client import EtaClient
from ingest_service.sdk.errors import (
    EventTooLargeError,
    FlushTimeoutError,
    SdkError,
    SpoolFullError,
)
from ingest_service.sdk.events import Rejected, Warned
from ingest_service.sdk.options import ClientOptions

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
