"""Requests that wait to be stored: in groups, and counted for as long as they have no answer.

What a request takes up is bound to its answer: it is counted when the answer is promised and no
longer once the answer is given, whatever the answer is. So no failure can leave a count behind.
"""

from asyncio import Future, Task
from collections import deque
from dataclasses import dataclass, field

from deltalake.exceptions import DeltaError

from ingest_service.sources.events.writer import EventRequest, Written
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError

GroupKey = tuple[str, DataType, str, str]
"""Tenant, data type, mapping, source: what the events of one batch have in common."""

Answer = Written | Exception
"""What a request comes to. An error is a result too, so that nobody has to ask for it."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A request, the answer it was promised, and when it came."""

    request: EventRequest
    answer: "Future[Answer]"
    since: float

    def settle(self, answer: Answer) -> None:
        """Answer it; the first answer stands."""
        if not self.answer.done():
            self.answer.set_result(answer)


@dataclass(slots=True, eq=False)
class Group:
    """The requests of one key: `parts` are tried again in smaller pieces, `waiting` come after.

    `open` has every request without an answer, those that are being stored included.
    """

    open: dict[Waiting, None] = field(default_factory=dict)
    parts: deque[list[Waiting]] = field(default_factory=deque)
    waiting: deque[Waiting] = field(default_factory=deque)
    task: "Task[None] | None" = None

    @property
    def is_over_quota(self) -> bool:
        """Whether what comes next is of a tenant that sends too much."""
        return bool(self.waiting) and self.waiting[0].request.is_over_quota and not self.parts

    @property
    def has_more(self) -> bool:
        """Whether something is to be stored."""
        return bool(self.parts or self.waiting)

    def add(self, waiting: Waiting) -> None:
        """Let a request wait."""
        self.open[waiting] = None
        waiting.answer.add_done_callback(lambda _: self.open.pop(waiting, None))
        self.waiting.append(waiting)

    def take(self, most_events: int) -> list[Waiting]:
        """Return the requests of the next batch: one at least, and about so many events."""
        if self.parts:
            return self.parts.popleft()
        taken: list[Waiting] = []
        events = 0
        while self.waiting and events < most_events:
            waiting = self.waiting.popleft()
            events += waiting.request.count
            taken.append(waiting)
        return taken

    def split(self, taken: list[Waiting]) -> None:
        """Have a batch that failed tried again, as two."""
        half = len(taken) // 2
        self.parts.extendleft((taken[half:], taken[:half]))


class Room:
    """How many bytes the requests without an answer hold, per tenant and in all."""

    def __init__(self) -> None:
        self._held: dict[str, dict[Waiting, int]] = {}
        self._bytes: dict[str, int] = {}
        self.total = 0

    def of(self, tenant_id: str) -> int:
        """Return what a tenant's requests hold."""
        return self._bytes.get(tenant_id, 0)

    def hold(self, waiting: Waiting) -> None:
        """Count a request until it has its answer."""
        tenant_id, size = waiting.request.tenant_id, max(0, waiting.request.size)
        self._held.setdefault(tenant_id, {})[waiting] = size
        self._bytes[tenant_id] = self.of(tenant_id) + size
        self.total += size
        waiting.answer.add_done_callback(lambda _: self._free(waiting))

    def _free(self, waiting: Waiting) -> None:
        tenant_id = waiting.request.tenant_id
        held = self._held.get(tenant_id, {})
        if waiting not in held:
            return
        size = held.pop(waiting)
        self.total -= size
        self._bytes[tenant_id] -= size
        if not held:
            del self._held[tenant_id], self._bytes[tenant_id]


def is_for_all(error: BaseException) -> bool:
    """Whether an error strikes every request of a batch: smaller batches would fare no better."""
    return isinstance(error, EtaError | OSError | DeltaError)


def as_answer(error: BaseException) -> Exception:
    """Return an error that a request can be answered with: libraries raise others as well."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    found = RuntimeError(f"the batch ended by {type(error).__qualname__}")
    return found.with_traceback(error.__traceback__)


def interrupted() -> EtaError:
    """Return what requests are answered whose group was stopped."""
    return EtaError(
        "the service stopped before the events were stored",
        remedy="send the same request again: what was stored is not stored twice",
    )
