"""How the control database is reached: URLs, SQLite's modes, and read and write transactions."""

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)

from lakehouse.errors import EtaError
from lakehouse.waiting import retry_for, wait_until

BUSY_SECONDS: Final = 15
"""How long a SQLite writer waits for another process's write; ours take milliseconds."""

_DISKS: Final = {sqlite3.SQLITE_FULL: "full", sqlite3.SQLITE_READONLY: "read-only"}

_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_WRITES: Final = "eta_writes"


class DatabaseUnreachable(EtaError):
    """The control database does not answer; asking again later may help."""

    def __init__(self, cause: BaseException | None) -> None:
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        disk = _DISKS.get(code)
        # without the driver's own words, which may hold the URL
        if code in _BUSY:
            message = "the control database is busy: another program has it locked"
            remedy = (
                f"try again; if it stays so for more than {BUSY_SECONDS} seconds, end the program "
                "that holds it open for writing (`lsof` or `fuser` of the file names it)"
            )
        elif disk is not None:
            message = f"the disk of the control database is {disk}"
            remedy = "make room on it, or make it writable, and try again"
        else:
            message = f"the control database does not answer ({type(cause).__name__})"
            remedy = "check that it runs, that it is a database, and that ETA_DATABASE_URL names it"
        super().__init__(message, remedy=remedy)


class Connections:
    """Opens transactions on one database; safe to share between threads.

    A SQLite write transaction takes its lock at the start (`begin immediate`): one that reads
    first and writes later would be refused at once, without waiting, when another process wrote
    in between.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(**{_WRITES: True})

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a local SQLite file."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; raises `DatabaseUnreachable`."""
        with _answering(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: committed at the end of the block, or not at all.

        Raises `DatabaseUnreachable`.
        """
        with _answering(), self._writing.begin() as connection:
            yield connection

    def compact(self, tables: Sequence[str]) -> None:
        """Write the files anew, so that nothing deleted or replaced is left in them.

        Of SQLite the whole file, and an empty write-ahead log; of PostgreSQL these tables. Waits
        for other transactions. Raises `DatabaseUnreachable`, and `EtaError` when one of them stays.
        """
        with _answering():
            if self.is_sqlite:
                self._compact_sqlite()
                return
            autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            with autocommit.connect() as connection:
                for table in tables:
                    connection.exec_driver_sql(f"vacuum full {table}")

    def _compact_sqlite(self) -> None:
        connection = self.engine.raw_connection()  # vacuum runs in no transaction
        try:
            connection.cursor().execute("vacuum")

            def is_empty() -> bool:  # nobody is reading
                found = connection.cursor().execute("pragma wal_checkpoint(truncate)")
                return not found.fetchone()[0]

            if not wait_until(is_empty, BUSY_SECONDS, every=0.1):
                raise EtaError(
                    "the write-ahead log of the control database could not be emptied: another "
                    f"program has been reading the database for more than {BUSY_SECONDS} seconds",
                    remedy="end it (a backup, an open shell of sqlite3), then run "
                    "`eta privacy work`",
                )
        finally:
            connection.close()

    def empty_log(self) -> bool:
        """Empty SQLite's write-ahead log, in which deleted rows stand until it is written over.

        False when somebody reads or writes at this moment: waiting for a reader would keep all
        writers out meanwhile. PostgreSQL keeps its log by its own rules.
        """
        if not self.is_sqlite:
            return True
        with _answering():
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                before = cursor.execute("pragma busy_timeout").fetchone()[0]
                cursor.execute("pragma busy_timeout = 0")
                try:
                    found = cursor.execute("pragma wal_checkpoint(truncate)")
                    return not found.fetchone()[0]
                finally:
                    cursor.execute(f"pragma busy_timeout = {int(before)}")
            finally:
                connection.close()

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


class ChangeCounter:
    """Tells in microseconds whether anybody has written to a SQLite database since.

    Every process's commits count, this one's too: the counter has a connection of its own. After an
    error it connects again, and what it tells then differs from all that it told before.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._connections = 0

    def now(self) -> tuple[int, int]:
        """Return what differs whenever the database does; raises `DatabaseUnreachable`."""
        with self._lock, _answering():
            try:
                if self._connection is None:
                    self._connections += 1  # numbers of different connections cannot be compared
                    self._connection = sqlite3.connect(
                        self._path,
                        check_same_thread=False,
                        isolation_level=None,
                        timeout=BUSY_SECONDS,
                    )
                found: int = self._connection.execute("pragma data_version").fetchone()[0]
            except BaseException:
                self._disconnect()
                raise
            return self._connections, found

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, (InterfaceError, OperationalError)) or type(error) is DatabaseError:
            raise DatabaseUnreachable(error.orig) from error
        raise
    except sqlite3.Error as error:  # while a connection is prepared, SQLAlchemy wraps nothing
        raise DatabaseUnreachable(error) from error


def connect(url: str) -> Connections:
    """Prepare connections to `url`; creates the folder and file of a SQLite database.

    Raises `EtaError` for a URL or a driver that cannot be used. The URL may hold a password, so
    no message repeats it.
    """
    target = _target(url)
    try:
        if target.get_backend_name() != "sqlite":
            return Connections(create_engine(target, pool_pre_ping=True, hide_parameters=True))
        _create_file(Path(str(target.database)))
        engine = create_engine(target, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)
    except (ImportError, NoSuchModuleError) as error:
        raise EtaError(
            f"the driver of the control database is not installed ({type(error).__name__})",
            remedy="for PostgreSQL: pip install 'eta-lakehouse[postgres]' (in a checkout: uv sync)",
        ) from error
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return Connections(engine)


def _target(url: str) -> URL:
    try:
        target = make_url(url)
    except ArgumentError as error:
        raise EtaError(
            "the URL of the control database cannot be read",
            remedy="set ETA_DATABASE_URL to sqlite:////absolute/path.db or "
            "postgresql://user:password@host/name",
        ) from error
    if target.get_backend_name() not in ("sqlite", "postgresql"):
        raise EtaError(
            "the control database is kept in SQLite or PostgreSQL only",
            remedy="set ETA_DATABASE_URL to a URL that begins with sqlite or postgresql",
        )
    if target.get_backend_name() == "sqlite" and target.database in (None, "", ":memory:"):
        raise EtaError(
            "the control database cannot live in memory: several processes share it",
            remedy="name a file, as in sqlite:////absolute/path.db",
        )
    if target.drivername == "postgresql":
        return target.set(drivername="postgresql+psycopg")
    return target


def _create_file(path: Path) -> None:
    """Create the file readable by its owner alone; SQLite gives its side files the same mode.

    One that is there is not opened: closing it again would lose the locks that this process has on
    it by another connection (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise EtaError(
            f"the control database {path} cannot be opened ({error.strerror})",
            remedy="make its folder writable, or set ETA_HOME or ETA_DATABASE_URL to another place",
        ) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.execute("pragma foreign_keys = on")
    connection.execute("pragma secure_delete = on")  # what was deleted is overwritten
    _use_write_ahead_log(connection)
    connection.execute("pragma synchronous = full")  # a commit outlasts a power cut


def _use_write_ahead_log(connection: Any) -> None:
    """Switch to WAL once; SQLite does not wait for its lock, so two first starts could meet."""
    switch = partial(connection.execute, "pragma journal_mode = wal")
    retry_for(switch, sqlite3.OperationalError, BUSY_SECONDS, every=0.01)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("begin immediate" if writes else "begin")
