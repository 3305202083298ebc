"""Which process writes group commits: their batches carry its session's id.

A batch that a kill left unfinished is cleared away at once when its session's process is known to
be dead, and no batch costs a row here.
"""

import secrets
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import insert, select

from lakehouse.control import schema
from lakehouse.control.connection import Connections
from lakehouse.control.jobs import owner_columns, owner_of
from lakehouse.control.owner import is_dead


class Sessions:
    """The sessions of one control database."""

    def __init__(self, connections: Connections, clock: Callable[[], datetime]) -> None:
        self._connections = connections
        self._clock = clock

    def begin(self) -> str:
        """Record a session of this process; return its id: letters and digits."""
        session_id = f"s{secrets.token_hex(6)}"
        with self._connections.write() as connection:
            connection.execute(
                insert(schema.writer_sessions).values(
                    session_id=session_id, started_at=self._clock(), **owner_columns()
                )
            )
        return session_id

    def is_over(self, session_id: str) -> bool:
        """Whether its process is known to have ended; False when that cannot be known."""
        table = schema.writer_sessions
        with self._connections.read() as connection:
            row = connection.execute(select(table).where(table.c.session_id == session_id)).first()
        return row is not None and is_dead(owner_of(row))
