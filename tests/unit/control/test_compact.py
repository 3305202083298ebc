"""What was taken out of rows is not left in the database's files either."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from secrets import token_hex

import pytest
from sqlalchemy import make_url

from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.connection import BUSY_SECONDS
from lakehouse.control.database import ControlDatabase
from lakehouse.control.webhook_messages import message_hash
from lakehouse.errors import EtaError
from lakehouse.privacy.database import TABLES, change_rows, look_through_rows, row_changes
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.readers import Readers

MESSAGES = 200


@pytest.fixture
def files(url: str, request: pytest.FixtureRequest) -> list[Path]:
    """The folders and files that the database keeps its rows in; no log of PostgreSQL's."""
    if url.startswith("sqlite"):
        path = Path(str(make_url(url).database))
        return [path, path.with_name(f"{path.name}-wal")]
    return [Path(request.getfixturevalue("postgres_folder"), "data", "base")]


def holds(files: list[Path], text: str) -> bool:
    found = [part for file in files for part in (file.rglob("*") if file.is_dir() else [file])]
    return any(text.encode() in read(part) for part in found if part.is_file())


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # the server has deleted it meanwhile
        return b""


def settle(database: ControlDatabase) -> None:
    """Have the server write what it holds in memory to its files."""
    if not database.connections.is_sqlite:
        autocommit = database.connections.engine.execution_options(isolation_level="AUTOCOMMIT")
        with autocommit.connect() as connection:
            connection.exec_driver_sql("checkpoint")


def test_files_written_anew_hold_nothing_of_a_person(
    database: ControlDatabase, files: list[Path]
) -> None:
    gone, other = f"user-{token_hex(16)}", f"user-{token_hex(16)}"
    database.tenants.add("acme")
    source = database.webhooks.add(
        "acme", "shop", adapter="generic", data_type="interactions", mapping="default"
    ).source_id
    for n in range(MESSAGES):
        payload = json.dumps([{"user_id": gone}, {"user_id": other}]).encode()
        database.messages.receive(source, f"m{n}", 1, payload, "s")
    job = database.jobs.start("acme", "upload", "b")
    database.jobs.finish(job, "succeeded", {"ids": [gone, other]})
    settle(database)
    assert holds(files, gone)

    patterns, readers = IdentifierPatterns([gone]), Readers(TenantSettings())
    changes = row_changes(database, "acme", patterns, readers, frozenset())
    assert len(changes) == MESSAGES + 1
    change_rows(database, changes)
    assert not look_through_rows(database, "acme", patterns, readers).values
    settle(database)
    assert holds(files, gone)  # old versions of the rows: why the files are written anew
    database.connections.compact(TABLES)
    settle(database)
    assert not holds(files, gone)
    assert holds(files, other)


def test_a_log_that_a_reader_keeps_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.control.connection.BUSY_SECONDS", 0.3)
    path = tmp_path / "control.db"
    database = ControlDatabase.open(f"sqlite:///{path}")
    database.tenants.add("acme")
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("begin")
        reader.execute("select * from tenants").fetchall()
        database.tenants.add("other")
        with pytest.raises(EtaError, match="could not be emptied"):
            database.compact(TABLES)
    database.compact(TABLES)
    assert path.with_name("control.db-wal").stat().st_size == 0
    database.close()


def test_a_message_that_was_stored_is_gone_once_the_log_is_emptied(tmp_path: Path) -> None:
    path, gone = tmp_path / "control.db", f"user-{token_hex(16)}"
    files = [path, path.with_name("control.db-wal")]
    with closing(ControlDatabase.open(f"sqlite:///{path}")) as database:
        database.tenants.add("acme")
        source = database.webhooks.add(
            "acme", "shop", adapter="generic", data_type="interactions", mapping="default"
        ).source_id
        payload = json.dumps([{"user_id": gone}] * 500).encode()
        database.messages.receive(source, "m1", 1, payload, "s")
        database.messages.done(source, message_hash("m1"))
        assert holds(files, gone)
        assert database.connections.empty_log()
        assert not holds(files, gone)


def test_emptying_the_log_waits_for_no_reader(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    with closing(ControlDatabase.open(f"sqlite:///{path}")) as database:
        with closing(sqlite3.connect(path)) as reader:
            reader.execute("begin")
            reader.execute("select count(*) from tenants").fetchone()
            database.tenants.add("acme")
            begun = time.monotonic()
            assert not database.connections.empty_log()
            assert time.monotonic() - begun < BUSY_SECONDS / 2
            database.tenants.add("globex")
        assert database.connections.empty_log()
        waits = database.connections.engine.raw_connection()
        assert waits.cursor().execute("pragma busy_timeout").fetchone() == (BUSY_SECONDS * 1000,)
        waits.close()
