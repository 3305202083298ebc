"""Tenants and their settings, on every backend."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, select

from lakehouse.contracts.tenant import InteractionType, SourceMapping, TenantSettings, TimeRange
from lakehouse.control import schema
from lakehouse.control.database import ControlDatabase, Tenant, TenantExists, TenantNotFound
from lakehouse.control.tenants import settings_document
from lakehouse.errors import EtaError


@contextmanager
def statements() -> Iterator[list[str]]:
    """What the database is asked in the block."""
    asked: list[str] = []

    def note(*arguments: Any) -> None:
        if arguments[2].lower().startswith("select"):
            asked.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


OLD_BOOKS = TenantSettings(
    time_range=TimeRange(start=datetime(1995, 1, 1, tzinfo=UTC)),
    positive_types=frozenset({InteractionType.LIKE, InteractionType.CLICK}),
    sources={"default": SourceMapping(columns={"user_id": "uid"}, delimiter=";")},
)


def test_a_tenant_is_found_after_it_was_added(database: ControlDatabase) -> None:
    added = database.tenants.add("acme", name="Acme Ltd")
    database.tenants.add("globex")
    assert added == Tenant("acme", "Acme Ltd", datetime(2026, 5, 1, 12, tzinfo=UTC))
    assert database.tenants.get("acme") == added
    assert [tenant.name for tenant in database.tenants.list()] == ["Acme Ltd", "globex"]
    assert database.tenants.exists("acme")


@pytest.mark.parametrize("tenant_id", ["nobody", "", "../acme", "a\nb", "a\0b", "x" * 9000])
def test_an_unknown_tenant_is_not_found_whatever_its_id(
    database: ControlDatabase, tenant_id: str
) -> None:
    assert not database.tenants.exists(tenant_id)
    with pytest.raises(TenantNotFound, match="eta tenants add") as raised:
        database.tenants.get(tenant_id)
    assert len(raised.value.message) < 400
    with pytest.raises(TenantNotFound):
        database.tenant_settings(tenant_id)


def test_settings_of_an_unknown_tenant_are_not_stored(database: ControlDatabase) -> None:
    with pytest.raises(TenantNotFound):
        database.set_tenant_settings("nobody", TenantSettings())


@pytest.mark.parametrize("tenant_id", ["Acme", "a/b", "-a", "", "a" * 64])
def test_an_id_that_may_not_stand_in_a_path_is_refused(
    database: ControlDatabase, tenant_id: str
) -> None:
    with pytest.raises(EtaError, match="tenant id is not valid"):
        database.tenants.add(tenant_id)
    assert database.tenants.list() == ()


def test_a_second_tenant_of_one_id_is_refused_and_the_first_stays(
    database: ControlDatabase,
) -> None:
    database.tenants.add("acme", settings=OLD_BOOKS)
    with pytest.raises(TenantExists):
        database.tenants.add("acme", name="another")
    assert database.tenants.get("acme").name == "acme"
    assert database.tenant_settings("acme") == OLD_BOOKS


def test_settings_come_back_as_they_were_given(database: ControlDatabase) -> None:
    database.tenants.add("acme")
    assert database.tenant_settings("acme") == TenantSettings()
    database.set_tenant_settings("acme", OLD_BOOKS)
    assert database.tenant_settings("acme") == OLD_BOOKS


def test_older_versions_of_the_settings_are_kept(database: ControlDatabase, url: str) -> None:
    database.tenants.add("acme")
    assert database.set_tenant_settings("acme", OLD_BOOKS) == 2
    assert database.set_tenant_settings("acme", OLD_BOOKS) == 2, "equal settings add no version"
    assert database.set_tenant_settings("acme", TenantSettings()) == 3
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        table = schema.tenant_settings
        rows = connection.execute(select(table).order_by(table.c.version)).all()
    engine.dispose()
    assert [row.version for row in rows] == [1, 2, 3]
    assert TenantSettings.model_validate(rows[1].document) == OLD_BOOKS


def test_settings_that_this_version_cannot_read_are_told_with_their_tenant_and_place(
    database: ControlDatabase, url: str
) -> None:
    database.tenants.add("acme")
    database.tenants.add("globex")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    wrong = settings_document(OLD_BOOKS) | {"half_life_days": -1}
    with engine.begin() as connection:
        table = schema.tenant_settings
        ours = table.c.tenant_id == "globex"
        connection.execute(table.update().where(ours).values(document=wrong))
    engine.dispose()
    with pytest.raises(EtaError, match=r"(?s)of tenant globex .*half_life_days.*set globex"):
        database.tenant_settings("globex")
    assert database.tenant_settings("acme") == TenantSettings()


def test_a_settings_document_is_the_same_text_each_time() -> None:
    document = settings_document(OLD_BOOKS)
    assert document["positive_types"] == ["click", "like"]
    assert document["time_range"]["end"] == "2030-01-01T00:00:00Z", "defaults are written out"


def test_all_settings_are_the_newest_of_each_tenant(database: ControlDatabase) -> None:
    assert database.tenants.all_settings() == {}
    for name in ("globex", "acme", "initech"):
        database.tenants.add(name)
    database.set_tenant_settings("acme", OLD_BOOKS)
    database.set_tenant_settings("globex", OLD_BOOKS)
    database.set_tenant_settings("globex", TenantSettings(seed=7))
    found = database.tenants.all_settings()
    assert [*found] == ["acme", "globex", "initech"]
    assert found == {name: database.tenant_settings(name) for name in found}
    assert found["globex"].seed == 7


@pytest.mark.parametrize("tenants", [1, 20])
def test_what_is_asked_of_all_tenants_is_one_question(
    database: ControlDatabase, tenants: int
) -> None:
    for number in range(tenants):
        database.tenants.add(f"tenant-{number:02}")
        database.jobs.start(f"tenant-{number:02}", "upload", f"batch-{number}")
    with statements() as asked:
        assert len(database.tenants.all_settings()) == tenants
        assert len(database.jobs.newest(limit=3)) == tenants
    assert len(asked) == 2
