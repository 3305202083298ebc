"""API keys, on every backend."""

import hmac
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import Engine, event

from lakehouse.control import connection as connection_module
from lakehouse.control.database import ApiKey, ControlDatabase, KeyNotFound, TenantNotFound
from lakehouse.control.keys import key_hash
from lakehouse.errors import EtaError


@pytest.fixture
def acme(database: ControlDatabase) -> ControlDatabase:
    database.tenants.add("acme")
    return database


def _altered(secret: str) -> str:
    return secret[:-1] + ("A" if secret[-1] != "A" else "B")


def test_a_new_key_is_accepted_with_its_tenant_and_scopes(acme: ControlDatabase) -> None:
    new = acme.keys.create("acme", frozenset({"ingest", "read"}))
    assert re.fullmatch(rf"eta_{new.key_id}_[\w-]{{43}}", new.secret)
    assert acme.authenticate(new.secret) == ApiKey(
        new.key_id, "acme", frozenset({"ingest", "read"})
    )


def test_a_key_may_only_ingest_unless_told_otherwise(acme: ControlDatabase) -> None:
    found = acme.authenticate(acme.keys.create("acme").secret)
    assert found is not None
    assert found.scopes == frozenset({"ingest"})


def test_a_wrong_secret_is_refused(acme: ControlDatabase) -> None:
    new, other = acme.keys.create("acme"), acme.keys.create("acme")
    assert acme.authenticate(_altered(new.secret)) is None
    assert acme.authenticate(new.secret.replace(new.key_id, other.key_id)) is None


@pytest.mark.parametrize(
    "presented",
    [
        "",
        "eta_",
        "eta__",
        "eta_a_b",
        "Bearer x",
        "eta_0000000000000000_" + "A" * 43,
        "eta_" + "a" * 9000 + "_" + "A" * 43,
        "eta_0_" + "A" * 43 + "\n",
        "eta_\0_" + "A" * 43,
        "eta_é_" + "A" * 43,
        "eta_0_" + "\udcff" * 43,
    ],
)
def test_any_text_may_be_presented(acme: ControlDatabase, presented: str) -> None:
    assert acme.authenticate(presented) is None


def test_a_hash_is_not_a_key(acme: ControlDatabase) -> None:
    new = acme.keys.create("acme")
    assert acme.authenticate(key_hash(new.secret)) is None
    assert acme.authenticate(f"eta_{new.key_id}_{key_hash(new.secret)[:43]}") is None


def test_a_revoked_key_is_refused_in_every_process(acme: ControlDatabase, url: str) -> None:
    new = acme.keys.create("acme")
    elsewhere = ControlDatabase.open(url)
    assert elsewhere.authenticate(new.secret) is not None
    acme.keys.revoke(new.key_id)
    assert acme.authenticate(new.secret) is None
    assert elsewhere.authenticate(new.secret) is None
    elsewhere.close()


def test_revoking_again_keeps_the_first_time(acme: ControlDatabase, clock: Any) -> None:
    new = acme.keys.create("acme")
    acme.keys.revoke(new.key_id)
    first = clock.now
    clock.advance(60)
    acme.keys.revoke(new.key_id)
    assert [key.revoked_at for key in acme.keys.list("acme")] == [first]


def test_revoking_one_key_leaves_the_others(acme: ControlDatabase) -> None:
    old, new = acme.keys.create("acme"), acme.keys.create("acme")
    acme.keys.revoke(old.key_id)
    assert acme.authenticate(new.secret) is not None


def test_an_unknown_key_cannot_be_revoked(acme: ControlDatabase) -> None:
    with pytest.raises(KeyNotFound, match="eta keys list"):
        acme.keys.revoke("0000")


def test_every_refusal_costs_one_hash_and_one_comparison(
    acme: ControlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, revoked = acme.keys.create("acme"), acme.keys.create("acme")
    acme.keys.revoke(revoked.key_id)
    compared: list[tuple[str, str]] = []
    real = hmac.compare_digest

    def spy(left: str, right: str) -> bool:
        compared.append((left, right))
        return real(left, right)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    unknown_id = "eta_0000000000000000_" + "A" * 43
    for presented in (unknown_id, _altered(known.secret), revoked.secret):
        compared.clear()
        assert acme.authenticate(presented) is None
        assert [right for _, right in compared] == [key_hash(presented)]


def test_a_key_needs_a_tenant(database: ControlDatabase) -> None:
    with pytest.raises(TenantNotFound):
        database.keys.create("nobody")


@pytest.mark.parametrize("scopes", [frozenset(), frozenset({"ingest", "root"})])
def test_scopes_are_checked(acme: ControlDatabase, scopes: frozenset[str]) -> None:
    with pytest.raises(EtaError, match="admin, ingest, privacy, quarantine, read"):
        acme.keys.create("acme", scopes)
    assert acme.keys.list("acme") == ()


def test_keys_are_listed_per_tenant(acme: ControlDatabase) -> None:
    acme.tenants.add("globex")
    own, other = acme.keys.create("acme"), acme.keys.create("globex")
    assert [key.key_id for key in acme.keys.list("acme")] == [own.key_id]
    assert [key.key_id for key in acme.keys.list("globex")] == [other.key_id]


def test_last_use_is_noted_at_most_once_a_minute(acme: ControlDatabase, clock: Any) -> None:
    new = acme.keys.create("acme")
    first = clock.now
    acme.authenticate(new.secret)
    clock.advance(59)
    acme.authenticate(new.secret)
    assert acme.keys.list("acme")[0].last_used_at == first
    clock.advance(1)
    acme.authenticate(new.secret)
    assert acme.keys.list("acme")[0].last_used_at == clock.now


def test_a_key_in_use_costs_no_write_within_the_minute(acme: ControlDatabase, clock: Any) -> None:
    new = acme.keys.create("acme")
    acme.authenticate(new.secret)
    clock.advance(59)
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2].split()[0].lower())

    event.listen(Engine, "before_cursor_execute", note)
    try:
        acme.authenticate(new.secret)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert [word for word in statements if word != "begin"] == ["select"]


def test_a_refused_key_is_not_noted_as_used(acme: ControlDatabase) -> None:
    new = acme.keys.create("acme")
    acme.authenticate(_altered(new.secret))
    assert acme.keys.list("acme")[0].last_used_at is None


def test_a_key_waits_for_no_writer_where_a_thread_notes_its_use(sqlite_url: str) -> None:
    database = ControlDatabase.open(sqlite_url)
    database.tenants.add("acme")
    new = database.keys.create("acme")
    writer = connection_module.connect(sqlite_url)
    with ThreadPoolExecutor(1) as notes:
        database.keys.note_by(notes.submit)
        with writer.write():
            begun = monotonic()
            assert database.authenticate(new.secret) is not None
            assert monotonic() - begun < connection_module.BUSY_SECONDS / 3
    assert database.keys.list("acme")[0].last_used_at is not None
    writer.close()
    database.close()


def test_a_good_key_is_accepted_while_another_process_writes(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "BUSY_SECONDS", 0.05)
    database = ControlDatabase.open(sqlite_url)
    database.tenants.add("acme")
    new = database.keys.create("acme")
    writer = connection_module.connect(sqlite_url)
    with writer.write():
        assert database.authenticate(new.secret) is not None
    assert database.keys.list("acme")[0].last_used_at is None
    writer.close()
    database.close()


def test_no_secret_is_stored_or_shown(sqlite_url: str, tmp_path: Path) -> None:
    database = ControlDatabase.open(sqlite_url)
    database.tenants.add("acme")
    new = database.keys.create("acme")
    database.authenticate(new.secret)
    random_part = new.secret.rpartition(f"eta_{new.key_id}_")[2]
    assert random_part not in repr(new)
    assert random_part not in repr(database.keys.list("acme"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(new.key_id.encode() in path.read_bytes() for path in files)
    assert not any(random_part.encode() in path.read_bytes() for path in files)
    database.close()
