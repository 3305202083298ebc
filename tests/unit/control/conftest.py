"""The control database on every backend, with a clock that the test moves."""

import importlib.util
import itertools
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.control.database import ControlDatabase
from lakehouse.control.upgrade import upgrade_database

_spec = importlib.util.spec_from_file_location(
    "postgres_server", Path(__file__).with_name("postgres_server.py")
)
assert _spec is not None
assert _spec.loader is not None
postgres_server = importlib.util.module_from_spec(_spec)
sys.modules["postgres_server"] = postgres_server
_spec.loader.exec_module(postgres_server)

_numbers = itertools.count(1)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    reason = postgres_server.why_not()
    if reason is not None:
        pytest.skip(reason)
    with postgres_server.running_server() as folder:
        yield folder


@pytest.fixture
def postgres_url(postgres_folder: Path) -> str:
    """An empty PostgreSQL database."""
    return str(postgres_server.new_database(postgres_folder, f"control_{next(_numbers)}"))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'home' / 'control.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """A database at this version's schema, one of each kind."""
    found = str(request.getfixturevalue(f"{request.param}_url"))
    upgrade_database(found)
    return found


@pytest.fixture
def database(url: str, clock: Clock) -> Iterator[ControlDatabase]:
    opened = ControlDatabase.open(url, clock=clock)
    yield opened
    opened.close()
