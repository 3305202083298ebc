"""Where accepted event requests go: the seam between the endpoints and what makes them durable."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from ingest_service.readers.events.rows import EventTexts
from ingest_service.sources.events.outcomes import EventResults
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError


@dataclass(frozen=True, slots=True)
class EventRequest:
    """Events of one request of one tenant. `size` is its body's in bytes, unpacked.

    `source` is what the tables call the way they came: `api` or `webhook`. `mapping_name` is one
    of the tenant's, or a built-in one. `is_over_quota` says that its tenant sends more than it may:
    then it waits longer for company and leaves the commits to others.
    """

    tenant_id: str
    data_type: DataType
    mapping_name: str
    source: str
    rows: EventTexts
    size: int
    is_over_quota: bool = False

    @property
    def count(self) -> int:
        """How many events it holds."""
        return self.rows.count


@dataclass(frozen=True, slots=True)
class Written:
    """A request that is durable: what became of its events, and the batch they are in."""

    batch_id: str | None
    told: EventResults


class BehindError(EtaError):
    """The writer has so much to do that it takes nothing more."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "busy"

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "the service has more events waiting than it can store soon",
            remedy="send the same request again after the time in Retry-After",
        )
        self.retry_after = retry_after


class EventWriter(Protocol):
    """Makes events durable; used by the event loop's thread."""

    def check_room(self, tenant_id: str) -> None:
        """Raise `BehindError` when a request of this tenant would not be served soon."""
        ...

    async def write(self, request: EventRequest) -> Written:
        """Return when the events are durable, with what became of each.

        Raises `BehindError`, and `EtaError` when nothing of the request is stored. A request that
        is given up by its caller is stored all the same.
        """
        ...

    async def start(self) -> None:
        """Begin."""
        ...

    async def stop(self) -> None:
        """Return when everything that was taken in is durable."""
        ...
