"""Opening, migrating and sharing the control database."""

import sqlite3
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event, Semaphore

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from lakehouse.control import connection as connection_module
from lakehouse.control import upgrade as upgrade_module
from lakehouse.control.connection import connect
from lakehouse.control.database import ControlDatabase, DatabaseUnreachable
from lakehouse.control.schema import HEAD, metadata
from lakehouse.control.upgrade import current_revision, migrations, upgrade_database
from lakehouse.errors import EtaError

_OPEN_WHEN_TOLD = """
import sys, time
from pathlib import Path
from threading import Event, Semaphore
from lakehouse.control.database import ControlDatabase
from lakehouse.control.upgrade import upgrade_database
url, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
(folder / f"ready-{name}").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
if url.startswith("postgresql"):
    upgrade_database(url)
database = ControlDatabase.open(url)
database.tenants.add(name)
for number in range(20):
    database.jobs.finish(database.jobs.start(name, "upload", str(number)), "succeeded", {})
"""


def test_a_sqlite_database_is_made_when_it_is_opened(sqlite_url: str) -> None:
    database = ControlDatabase.open(sqlite_url)
    database.tenants.add("acme")
    database.close()
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, "key hashes are for the owner's eyes"
    with sqlite3.connect(path) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    again = ControlDatabase.open(sqlite_url)
    assert again.tenants.exists("acme")
    again.ping()
    again.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_several_processes_may_make_the_database_at_once(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = str(request.getfixturevalue(f"{kind}_url"))
    names = ["a", "b", "c"]
    processes = [
        subprocess.Popen([sys.executable, "-c", _OPEN_WHEN_TOLD, url, name, str(tmp_path)])
        for name in names
    ]
    while len(list(tmp_path.glob("ready-*"))) < len(names):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [process.wait() for process in processes] == [0, 0, 0]
    database = ControlDatabase.open(url)
    assert [tenant.tenant_id for tenant in database.tenants.list()] == names
    assert all(len(database.jobs.list(name)) == 20 for name in names)
    database.close()


def test_one_object_serves_many_threads(database: ControlDatabase) -> None:
    database.tenants.add("acme")
    new = database.keys.create("acme")

    def work(number: int) -> bool:
        job_id = database.jobs.start("acme", "upload", str(number))
        is_known = database.authenticate(new.secret) is not None
        database.jobs.finish(job_id, "succeeded", {"number": number})
        return is_known

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(work, range(120)))
    jobs = database.jobs.list("acme", limit=1000)
    assert sorted(job.result["number"] for job in jobs if job.result) == list(range(120))


def test_a_migration_that_fails_leaves_nothing(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = upgrade_module._migrate

    def broken(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        raise RuntimeError("the machine went down")

    with monkeypatch.context() as patch:
        patch.setattr(upgrade_module, "_migrate", broken)
        with pytest.raises(RuntimeError):
            ControlDatabase.open(sqlite_url)
    assert current_revision(sqlite_url) is None
    ControlDatabase.open(sqlite_url).close()
    assert current_revision(sqlite_url) == HEAD


def test_a_second_upgrade_waits_for_the_first(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, may_end, begun = upgrade_module._migrate, Event(), Semaphore(0)
    migrated: list[str | None] = []

    def slow(connection: Connection, found: str | None) -> None:
        migrated.append(found)
        real(connection, found)
        begun.release()
        may_end.wait(60)

    monkeypatch.setattr(upgrade_module, "_migrate", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(upgrade_database, postgres_url)
        assert begun.acquire(timeout=60)
        second = pool.submit(upgrade_database, postgres_url)
        try:
            _wait_for_a_waiting_session(postgres_url)
        finally:
            may_end.set()
        assert (first.result(60), second.result(60)) == (HEAD, HEAD)
    assert migrated == [None], "the second found nothing to do"


def _wait_for_a_waiting_session(url: str) -> None:
    waiting = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
    connections = connect(url)
    for _ in range(600):
        with connections.read() as connection:
            if connection.execute(waiting).scalar():
                break
        time.sleep(0.05)
    connections.close()


def test_postgresql_is_only_migrated_when_asked(postgres_url: str) -> None:
    with pytest.raises(EtaError, match="eta db upgrade"):
        ControlDatabase.open(postgres_url)
    assert current_revision(postgres_url) is None
    assert upgrade_database(postgres_url) == HEAD
    assert upgrade_database(postgres_url) == HEAD
    ControlDatabase.open(postgres_url).close()


def test_a_database_of_a_later_version_is_refused(sqlite_url: str) -> None:
    ControlDatabase.open(sqlite_url).close()
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(EtaError, match="revision 9999"):
        ControlDatabase.open(sqlite_url)


def test_the_tables_are_those_that_the_migrations_make(url: str) -> None:
    assert ScriptDirectory.from_config(migrations()).get_current_head() == HEAD
    connections = connect(url)
    with connections.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    connections.close()


def test_migrations_can_be_taken_back(url: str) -> None:
    from alembic import command

    connections = connect(url)
    with connections.write() as connection:
        command.downgrade(migrations(connection), "base")
    connections.close()
    assert current_revision(url) is None
    assert upgrade_database(url) == HEAD


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        pytest.param("nonsense", "ETA_DATABASE_URL", id="no URL"),
        pytest.param("sqlite://", "name a file", id="in memory"),
        pytest.param("sqlite:///:memory:", "name a file", id="in memory by name"),
        pytest.param("mysql://u:hush@localhost/x", "sqlite or postgresql", id="another kind"),
        pytest.param("sqlite:////proc/nothing/x.db", "writable", id="folder cannot be made"),
    ],
)
def test_a_url_that_cannot_be_used_is_explained(url: str, remedy: str) -> None:
    with pytest.raises(EtaError) as raised:
        ControlDatabase.open(url)
    assert remedy in raised.value.remedy
    assert "hush" not in str(raised.value)


def test_a_server_that_does_not_answer_is_explained_without_its_password() -> None:
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    with pytest.raises(DatabaseUnreachable) as raised:
        ControlDatabase.open("postgresql://eta:hush@127.0.0.1:1/x")
    assert "hush" not in str(raised.value)


def test_a_file_that_is_no_database_is_explained_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    with pytest.raises(DatabaseUnreachable, match="that it is a database"):
        ControlDatabase.open(f"sqlite:///{path}")
    assert path.read_text() == "not a database, " * 100


def test_opening_a_current_database_imports_no_migrations(sqlite_url: str) -> None:
    ControlDatabase.open(sqlite_url).close()
    script = (
        "import sys; from lakehouse.control.database import ControlDatabase;"
        "ControlDatabase.open(sys.argv[1]).ping();"
        "print(*{'alembic', 'pyarrow', 'polars', 'pandas'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script, sqlite_url]
    assert subprocess.check_output(command, text=True).strip() == ""


def test_a_full_disk_is_named(sqlite_url: str) -> None:
    connections = connect(sqlite_url)
    with connections.write() as connection:
        connection.execute(text("create table held (bytes blob)"))
    full = pytest.raises(DatabaseUnreachable, match="disk of the control database is full")
    with full, connections.write() as connection:
        connection.execute(text("pragma max_page_count = 1"))
        connection.execute(text("insert into held values (zeroblob(1000000))"))
    connections.close()


def test_a_locked_database_is_called_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "BUSY_SECONDS", 0)
    database = ControlDatabase.open(f"sqlite:///{tmp_path / 'control.db'}")
    with closing(database), closing(sqlite3.connect(tmp_path / "control.db")) as other:
        other.execute("begin immediate")
        with pytest.raises(DatabaseUnreachable, match="busy") as raised:
            database.tenants.add("acme")
        assert "ETA_DATABASE_URL" not in raised.value.remedy
