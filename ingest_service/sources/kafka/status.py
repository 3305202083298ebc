"""What a consumer is doing, for people: a line in the log at every change, and a file.

`eta consume --status` shows the files of this home's consumers.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lakehouse.control.owner import this_process
from lakehouse.storage.whole_files import write_whole

_log = logging.getLogger(__name__)

STARTING: Final = "starting"
CONSUMING: Final = "consuming"
DEGRADED: Final = "degraded"
"""It consumes, but partitions stand still or too much of a tenant's is rejected: have a look."""
WAITING: Final = "waiting"
STOPPED: Final = "stopped"
HALTED: Final = "halted"
STATES: Final = (STARTING, CONSUMING, DEGRADED, WAITING, STOPPED, HALTED)


class Status:
    """The state of this process; `on_change` is told each new one."""

    def __init__(self, folder: Path, on_change: Callable[[str], None]) -> None:
        self._path = folder / f"{os.getpid()}.json"
        self._on_change = on_change
        self._state = ""
        self._detail = ""
        self._since = datetime.now(UTC)
        self._figures: Mapping[str, Any] = {}
        self._halts: Sequence[Mapping[str, str]] = ()
        self._rejects: Sequence[Mapping[str, str]] = ()
        self.set(STARTING)

    @property
    def state(self) -> str:
        """One of `STATES`."""
        return self._state

    @property
    def detail(self) -> str:
        """What is waited for, or what is wrong."""
        return self._detail

    @property
    def halts(self) -> Sequence[Mapping[str, str]]:
        """The partitions that stand still: `partition`, `alarm`, `message` and `remedy` of each."""
        return self._halts

    @property
    def rejects(self) -> Sequence[Mapping[str, str]]:
        """The tenants too much of whose is rejected: as `halts`, and `tenant`."""
        return self._rejects

    def is_waiting_for(self, what: str) -> bool:
        """Whether it waits, and says so with these words at the beginning."""
        return self._state == WAITING and self._detail.startswith(what)

    def set(self, state: str, detail: str = "") -> None:
        """Enter a state, or stay in it; `detail` says what is waited for, or what is wrong."""
        alarms = (*self._halts, *self._rejects)
        if state == CONSUMING and alarms:
            state = DEGRADED
            detail = "; ".join(f"{alarm['alarm']}: {alarm['message']}" for alarm in alarms)
        if (state, detail) == (self._state, self._detail):
            return
        self._state, self._detail, self._since = state, detail, datetime.now(UTC)
        level = logging.ERROR if state == HALTED else logging.INFO
        level = logging.WARNING if state in (WAITING, DEGRADED) else level
        _log.log(level, "%s%s", state, f": {detail}" if detail else "")
        self._on_change(state)
        self._write()

    def show_halts(self, halts: Sequence[Mapping[str, str]]) -> None:
        """Say which partitions stand still: `partition`, `alarm`, `message` and `remedy` of each.

        While there are any, consuming is `degraded`.
        """
        self._halts = tuple(halts)
        self._alarms_changed()

    def show_rejects(self, rejects: Sequence[Mapping[str, str]]) -> None:
        """Say of which tenants too much is rejected; consuming is `degraded` meanwhile."""
        self._rejects = tuple(rejects)
        self._alarms_changed()

    def _alarms_changed(self) -> None:
        if self._state in (CONSUMING, DEGRADED):
            self.set(CONSUMING)
        self._write()

    def show(self, figures: Mapping[str, Any]) -> None:
        """Put figures beside the state."""
        self._figures = figures
        self._write()

    def remove(self) -> None:
        """Forget the process: it ends as it should."""
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        document = {
            "pid": os.getpid(),
            "started": this_process().started,
            "state": self._state,
            "detail": self._detail,
            "since": self._since.isoformat(timespec="seconds"),
            "seen": datetime.now(UTC).isoformat(timespec="seconds"),
            "halts": list(self._halts),
            "rejects": list(self._rejects),
            **self._figures,
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(document))
        except OSError as error:  # the home may be what is away
            _log.warning("the status could not be written: %s", type(error).__name__)
