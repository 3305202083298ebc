"""Makes the n-th step of one tenant's requests fail: steps are calls of wrapped functions."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from deltalake.exceptions import DeltaError

from ingest_service.sources.events.groups import Group
from lakehouse.errors import EtaError


class Panic(BaseException):
    """What a native library raises when it panics: no `Exception`."""


ERRORS: dict[str, Callable[[], BaseException]] = {
    "RuntimeError": lambda: RuntimeError("injected"),
    "OSError": lambda: OSError(28, "injected"),
    "DeltaError": lambda: DeltaError("injected"),
    "EtaError": lambda: EtaError("injected", remedy="try again"),
    "Panic": lambda: Panic("injected"),
    "StopIteration": lambda: StopIteration("injected"),
}


class Faults:
    """Counts the steps taken for one tenant and raises once, at the armed one.

    A step is of the tenant when it is one of the call's arguments, or when the calling thread is in
    the middle of a step that was.
    """

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._inside = threading.local()
        self._lock = threading.Lock()
        self.names: list[str] = []
        self._armed: tuple[int, Callable[[], BaseException]] | None = None

    def arm(self, step: int, error: Callable[[], BaseException]) -> None:
        """Raise at a step from now, counted from 1."""
        self.names.clear()
        self._armed = (step, error)

    def disarm(self) -> None:
        """Raise nothing more."""
        self._armed = None

    @property
    def has_struck(self) -> bool:
        """Whether the armed step was reached."""
        return self._armed is None

    def step(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function as a step."""

        def counted(*args: Any, **named: Any) -> Any:
            is_mine = any(self._is_of_tenant(one) for one in (*args, *named.values()))
            was_inside = getattr(self._inside, "yes", False)
            if is_mine or was_inside:
                self._count(name)
            self._inside.yes = was_inside or is_mine
            try:
                return function(*args, **named)
            finally:
                self._inside.yes = was_inside

        return counted

    def job(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function as a step whose calls are all of the tenant."""

        def counted(*args: Any) -> Any:
            self._inside.yes = True
            try:
                self._count(name)
                return function(*args)
            finally:
                self._inside.yes = False

        return counted

    def patch(self, patches: pytest.MonkeyPatch, owner: Any, *names: str) -> None:
        """Make functions or methods of an object, a class or a module steps."""
        for name in names:
            label = f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
            patches.setattr(owner, name, self.step(label, getattr(owner, name)))

    def _is_of_tenant(self, value: Any) -> bool:
        if isinstance(value, Group):
            return any(one.request.tenant_id == self._tenant for one in value.open)
        found = value[0] if isinstance(value, tuple) and value else value
        found = found if isinstance(found, str) else getattr(found, "tenant_id", None)
        return isinstance(found, str) and found == self._tenant

    def _count(self, name: str) -> None:
        with self._lock:
            self.names.append(name)
            armed = self._armed
            if armed is None or len(self.names) != armed[0]:
                return
            self._armed = None
        raise armed[1]()
