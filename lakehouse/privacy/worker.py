"""Carries out erasures: a tenant's open requests together, step by step, until they are proven.

Every step may be repeated, so after a kill the next worker simply goes on. Requests that come while
one is under way wait for the next round. A step that cannot go on now (a run of the models holds
their lock, an upload is still to be taken in) leaves the requests `waiting` with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from lakehouse.control.erasures import Erasure
from lakehouse.errors import EtaError
from lakehouse.privacy.derived import (
    drop_subject_files,
)
from lakehouse.privacy.erasure_pass import SHARED, ErasurePass, Models
from lakehouse.privacy.request_groups import note_waiting, request_groups
from lakehouse.privacy.waiting import WaitingError
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase
    from lakehouse.settings import LakeSettings


@dataclass(frozen=True, slots=True)
class Progress:
    """What became of a tenant's open requests; `nothing_found`: those without a certificate."""

    tenant_id: str
    completed: tuple[str, ...]
    waiting: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    nothing_found: tuple[str, ...] = ()


class Worker:
    """Works on the open requests of one lake; one at a time on a machine."""

    def __init__(
        self,
        settings: LakeSettings,
        database: ControlDatabase,
        models: Models,
        clock: Callable[[], datetime],
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._models = models
        self._clock = clock
        self._on_step = on_step

    def work(self, tenant_id: str | None = None) -> list[Progress]:
        """Go on with every open request, of one tenant or of all; return what became of them.

        An error of one tenant's does not keep back the others: its requests wait. Raises `EtaError`
        when another worker of this machine is at it.
        """
        tenants = [
            name for name in self._database.erasures.open_tenants() if tenant_id in (None, name)
        ]
        if not tenants:
            return []
        lake = Lake(self._settings)
        with _alone(lake):
            ensure_tables(lake)
            drop_subject_files(lake)
            return [self._tenant(name) for name in tenants]

    def _tenant(self, tenant_id: str) -> Progress:
        """Carry out a tenant's requests: together as far as that goes, then one by one."""
        open_ones = self._database.erasures.newest(tenant_id, limit=1_000, is_open=True)
        turns, completed = request_groups(open_ones), list[str]()
        waiting: dict[str, tuple[str, ...]] = {}
        while turns:
            group = turns.pop(0)
            begun = ErasurePass(
                self._settings, self._database, self._models, self._clock, self._on_step, group
            )
            reasons: dict[str, tuple[str, ...]] = {}
            is_alone = False
            try:
                begun.run()
            except Exception as error:  # noqa: BLE001 - what stops one must not stop the others
                left = [one for one in group if one.request_id not in {*begun.done, *begun.held}]
                if len(left) > 1 and begun.step not in SHARED:
                    turns[:0] = [[one] for one in left]
                else:
                    is_alone = begun.step not in SHARED and not begun.held
                    reasons = {one.request_id: _told(error) for one in left}
            completed += begun.done
            for request in group:
                why = reasons.get(request.request_id, begun.held.get(request.request_id))
                if why is not None:
                    waiting[request.request_id] = why
                    self._wait(request, begun.step, why, is_alone=is_alone)
        said = dict.fromkeys(text for texts in waiting.values() for text in texts)
        nothing = [n for n in completed if self._database.erasures.get(n).state == "nothing_found"]
        return Progress(
            tenant_id,
            tuple(name for name in completed if name not in nothing),
            tuple(waiting),
            tuple(said),
            tuple(nothing),
        )

    def _wait(self, request: Erasure, step: str, reasons: Sequence[str], *, is_alone: bool) -> None:
        erasures = self._database.erasures
        now = self._clock()
        note_waiting(erasures, self._settings, request, step, reasons, now, is_alone=is_alone)


def _told(error: Exception) -> tuple[str, ...]:
    """Say what stopped an erasure; texts of other programs may hold anything and are left out."""
    if isinstance(error, WaitingError):
        return error.reasons
    if isinstance(error, EtaError):
        return (f"{error.message}: {error.remedy}",)
    return (f"a table or a file could not be read or written ({type(error).__name__})",)


@contextmanager
def _alone(lake: Lake) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(lake.lock("privacy", is_waiting=False))
        except BlockingIOError:
            raise EtaError(
                "another worker of this machine carries out erasures",
                remedy="wait until it has ended; `eta privacy status` shows how far it is",
            ) from None
        yield
