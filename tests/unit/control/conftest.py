"""The control database on every backend, with a clock that the test moves."""

import importlib.util
import itertools
import shutil
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


@pytest.fixture(scope="module", autouse=True)
def _migrated_once() -> None:
    """Here the migrations run as they are."""


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
def postgres_url(postgres_folder: Path) -> Iterator[str]:
    """An empty PostgreSQL database."""
    name = f"control_{next(_numbers)}"
    yield str(postgres_server.new_database(postgres_folder, name))
    postgres_server.drop_database(postgres_folder, name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'home' / 'control.db'}"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database at this version's schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "control.db"
    upgrade_database(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_folder: Path) -> str:
    """The name of a PostgreSQL database at this version's schema, to be copied."""
    upgrade_database(postgres_server.new_database(postgres_folder, "migrated"))
    return "migrated"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database at this version's schema, one of each kind: a copy of one that was migrated."""
    if request.param == "postgres":
        folder = request.getfixturevalue("postgres_folder")
        template = request.getfixturevalue("migrated_postgres")
        name = f"control_{next(_numbers)}"
        yield str(postgres_server.new_database(folder, name, template))
        postgres_server.drop_database(folder, name)
        return
    path = tmp_path / "home" / "control.db"
    path.parent.mkdir()
    shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
    yield f"sqlite:///{path}"


@pytest.fixture
def database(url: str, clock: Clock) -> Iterator[ControlDatabase]:
    opened = ControlDatabase.open(url, clock=clock)
    yield opened
    opened.close()
