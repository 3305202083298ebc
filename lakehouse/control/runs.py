"""Runs of the models: what was asked for, what its steps noted, how it ended."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import Connection, Row, insert, select, update

from lakehouse.control import schema
from lakehouse.control.connection import Connections
from lakehouse.control.run_lock import HeldLock, held
from lakehouse.errors import EtaError

State = Literal["running", "interrupted", "succeeded", "refused", "failed"]
"""`refused`: it ended, and at least one tenant was not published. `interrupted`: it holds the lock
no more and has not ended: its process was killed, or no step of it came for a lease."""

INTERRUPTED: Final = "interrupted"
OPEN_RUN_STATES: Final = frozenset({"running", INTERRUPTED})
"""States of a run that goes on where it was when it is begun again."""
FINAL_RUN_STATES: Final = frozenset(get_args(State)) - OPEN_RUN_STATES
_MAX_ID: Final = 300


class RunNotFound(EtaError):
    """No run has this id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id!r}", remedy="see `eta runs list`")


@dataclass(frozen=True, slots=True)
class ModelRun:
    """A run: `notes` are JSON values, one entry per step; neither holds personal data.

    `finished_at` of an interrupted run is its last sign of life (None where there is none).
    """

    run_id: str
    state: State
    started_at: datetime
    finished_at: datetime | None
    parameters: dict[str, Any]
    notes: dict[str, Any]


class Runs:
    """The runs of one lake."""

    def __init__(self, connections: Connections, clock: Callable[[], datetime]) -> None:
        self._connections = connections
        self._clock = clock

    def start(
        self, run_id: str, parameters: dict[str, Any], *, keep: Collection[str] = ()
    ) -> ModelRun:
        """Record a run, or start one again: its notes and its first start stay.

        A run that had ended runs again, from now on, with those of its notes that `keep` names.
        Any other run that has not ended is recorded as interrupted: the lock, which the caller
        holds, lets one run at a time go on. Raises `EtaError` for an id that is no id.
        """
        if not run_id.strip() or len(run_id) > _MAX_ID or not run_id.isprintable():
            raise EtaError(
                f"a run's id has 1 to {_MAX_ID} printable characters",
                remedy="use the scheduler's own id of the run",
            )
        table = schema.model_runs
        with self._connections.write() as connection:
            row = _row(connection, run_id, is_for_update=True)
            values: dict[str, Any] = {"state": "running", "parameters": parameters}
            if row is None:
                values |= {"run_id": run_id, "started_at": self._clock(), "notes": {}}
                connection.execute(insert(table).values(values))
            else:
                values["finished_at"] = None
                if row.state not in OPEN_RUN_STATES:
                    kept = {name: value for name, value in row.notes.items() if name in keep}
                    values |= {"started_at": self._clock(), "notes": kept}
                connection.execute(update(table).where(table.c.run_id == run_id).values(values))
            others = (table.c.state == "running", table.c.run_id != run_id)
            stopped = {"state": "interrupted", "finished_at": self._clock()}
            connection.execute(update(table).where(*others).values(stopped))
        return self.get(run_id)

    def note(self, run_id: str, name: str, value: Any) -> None:
        """Add a step's entry to the notes, in place of an earlier one; raises `RunNotFound`."""
        table = schema.model_runs
        with self._connections.write() as connection:
            row = _row(connection, run_id, is_for_update=True)
            if row is None:
                raise RunNotFound(run_id)
            notes = {**row.notes, name: value}
            connection.execute(update(table).where(table.c.run_id == run_id).values(notes=notes))

    def finish(self, run_id: str, state: State) -> ModelRun:
        """End a run; raises `RunNotFound`. Ending it again changes its state and its end."""
        if state not in FINAL_RUN_STATES:
            raise ValueError(f"{state!r} is not one of {sorted(FINAL_RUN_STATES)}")
        table = schema.model_runs
        with self._connections.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.run_id == run_id)
                .values(state=state, finished_at=self._clock())
            )
        return self.get(run_id)

    def get(self, run_id: str) -> ModelRun:
        """Return the run; raises `RunNotFound`."""
        with self._connections.read() as connection:
            row = _row(connection, run_id)
            seen = held(connection, self._clock())
        if row is None:
            raise RunNotFound(run_id)
        return _run(row, seen)

    def list(self, *, limit: int = 20) -> tuple[ModelRun, ...]:
        """Return the newest runs, newest first."""
        table = schema.model_runs
        query = select(table).order_by(table.c.started_at.desc(), table.c.run_id).limit(limit)
        with self._connections.read() as connection:
            seen = held(connection, self._clock())
            return tuple(_run(row, seen) for row in connection.execute(query))


def _row(connection: Connection, run_id: str, *, is_for_update: bool = False) -> Row[Any] | None:
    query = select(schema.model_runs).where(schema.model_runs.c.run_id == run_id)
    return connection.execute(query.with_for_update() if is_for_update else query).first()


def _run(row: Row[Any], lock: HeldLock | None) -> ModelRun:
    """Return a run as it stands now, whatever was recorded: a kill records nothing."""
    state, finished_at = row.state, row.finished_at
    is_holder = lock is not None and lock.run_id == row.run_id
    if state == "running" and not (is_holder and lock and lock.is_alive):
        state = "interrupted"
        finished_at = max(lock.seen_at, row.started_at) if lock and is_holder else None
    return ModelRun(row.run_id, state, row.started_at, finished_at, row.parameters, row.notes)
