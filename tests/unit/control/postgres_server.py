"""A throw-away PostgreSQL server on a Unix socket, so that no port can be taken."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

_ROOM: Final = 1 << 30


def why_not() -> str | None:
    """Why no server can be started here, None when one can."""
    if find_binary("initdb") is None or find_binary("postgres") is None:
        return "PostgreSQL's server binaries are not installed (Debian: apt-get install postgresql)"
    if find_spec("psycopg") is None:
        return "the PostgreSQL driver is not installed (uv run --with 'psycopg[binary]' …)"
    return None


def find_binary(name: str) -> str | None:
    """Look on the path, then where Debian keeps the server's programs."""
    debian = sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))
    return shutil.which(name) or (debian[-1] if debian else None)


def _user() -> str | None:
    """PostgreSQL refuses to run as root: the account to use then."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _memory() -> Path | None:
    """Where files are kept in memory and there is room: a database is 300 files."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM else None


@contextmanager
def running_server() -> Iterator[Path]:
    """Run a server and give the folder of its socket; ends it and removes everything after."""
    folder = Path(tempfile.mkdtemp(prefix="eta-pg-", dir=_memory()))
    user = _user()
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    initdb = [str(find_binary("initdb")), "-D", str(data), "-U", "eta", "-A", "trust", "-N"]
    subprocess.run(initdb, user=user, cwd=folder, check=True, capture_output=True)
    settings = ["fsync=off", "listen_addresses=", f"unix_socket_directories={folder}"]
    options = [part for setting in settings for part in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(find_binary("postgres")), "-D", str(data), *options],
            user=user,
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(folder, server)
        yield folder
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nothing in it is to be kept
        server.wait(30)
        shutil.rmtree(folder)


def _wait(folder: Path, server: "subprocess.Popen[bytes]") -> None:
    engine = create_engine(_url(folder, "postgres"))
    for _ in range(200):
        try:
            engine.connect().close()
        except OperationalError:
            time.sleep(0.1)
        else:
            engine.dispose()
            return
        if server.poll() is not None:
            break
    raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}")


def new_database(folder: Path, name: str, template: str = "template1") -> str:
    """Create a database, empty or a copy of another, and return its SQLAlchemy URL."""
    _execute(folder, f'create database "{name}" template "{template}"')
    return _url(folder, name).replace("+psycopg", "")


def drop_database(folder: Path, name: str) -> None:
    """Remove a database, whoever is connected to it."""
    _execute(folder, f'drop database "{name}" with (force)')


def _execute(folder: Path, statement: str) -> None:
    engine = create_engine(_url(folder, "postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def _url(folder: Path, name: str) -> str:
    return f"postgresql+psycopg://eta@/{name}?host={folder}"
