"""Rotation, audit, sessions, usage and webhook sources, on every backend."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from lakehouse.control.database import ControlDatabase, KeyNotFound, WebhookNotFound
from lakehouse.control.webhook_messages import REPLAY_MEMORY, message_hash


@pytest.fixture
def acme(database: ControlDatabase) -> ControlDatabase:
    database.tenants.add("acme", by="cli:me")
    return database


def test_a_rotated_key_is_good_until_the_overlap_ends(acme: ControlDatabase, clock: Any) -> None:
    old = acme.keys.create("acme", {"read"})
    new = acme.keys.rotate(old.key_id, timedelta(hours=1), by="cli:me")
    found = acme.authenticate(new.secret)
    assert found is not None
    assert found.scopes == {"read"}
    assert acme.authenticate(old.secret) is not None
    clock.advance(3_600)
    assert acme.authenticate(old.secret) is None
    assert acme.authenticate(new.secret) is not None


def test_a_key_of_another_tenant_cannot_be_managed(acme: ControlDatabase) -> None:
    key = acme.keys.create("acme")
    for manage in (
        lambda: acme.keys.revoke(key.key_id, tenant_id="other"),
        lambda: acme.keys.rotate(key.key_id, timedelta(0), tenant_id="other"),
    ):
        with pytest.raises(KeyNotFound):
            manage()
    assert acme.authenticate(key.secret) is not None


def test_deeds_are_kept_with_who_did_them_and_no_secret(acme: ControlDatabase) -> None:
    key = acme.keys.create("acme", by="cli:me")
    acme.keys.revoke(key.key_id, by="key:x")
    acme.keys.revoke(key.key_id, by="key:x")
    source = acme.webhooks.add(
        "acme", "s", adapter="generic", data_type="items", mapping="contract", by="cli:me"
    )
    acme.webhooks.rotate(source.source_id, by="cli:me")
    entries = acme.audit.list("acme")
    assert [(e.actor, e.action) for e in reversed(entries)] == [
        ("cli:me", "tenant.add"),
        ("cli:me", "key.create"),
        ("key:x", "key.revoke"),
        ("cli:me", "webhook.add"),
        ("cli:me", "webhook.rotate"),
    ]
    assert key.secret not in repr(entries)
    assert source.secret not in repr(entries)


def test_a_change_elsewhere_is_seen_at_once(acme: ControlDatabase, url: str) -> None:
    source = acme.webhooks.add(
        "acme", "s", adapter="generic", data_type="items", mapping="contract"
    )
    elsewhere = ControlDatabase.open(url)
    assert elsewhere.webhook_source(source.source_id).secrets == (source.secret,)
    renewed = acme.webhooks.rotate(source.source_id)
    found = elsewhere.webhook_source(source.source_id)
    assert found.secrets == (renewed.secret, source.secret)
    acme.webhooks.remove(source.source_id)
    with pytest.raises(WebhookNotFound):
        elsewhere.webhook_source(source.source_id)
    elsewhere.close()


def test_messages_are_remembered_longer_than_they_are_repeated(
    acme: ControlDatabase, clock
) -> None:  # type: ignore[no-untyped-def]
    source = acme.webhooks.add(
        "acme", "s", adapter="generic", data_type="items", mapping="contract"
    ).source_id
    receive = acme.messages.receive
    assert receive(source, "m", 100, b"x", "s1") == "new"
    assert [message.payload for message in acme.messages.kept("s2")] == [b"x"]
    acme.messages.done(source, message_hash("m"))
    assert acme.messages.kept("s2") == ()
    assert receive(source, "m", 100, b"x", "s1") == "replayed"
    assert receive(source, "m", 101, b"x", "s1") == "known"
    assert receive(source, "m", 101, b"x", "s1") == "replayed"
    clock.advance(75 * 3_600)
    assert acme.messages.drop_old() == 0
    clock.advance((REPLAY_MEMORY - timedelta(hours=75)).total_seconds() + 1)
    assert acme.messages.drop_old() == 1


def test_a_session_is_over_when_its_process_is_dead(acme: ControlDatabase) -> None:
    session = acme.sessions.begin()
    assert not acme.has_ended(session)
    assert not acme.has_ended("s000000000000")
    with acme._connections.write() as connection:
        connection.execute(text("update writer_sessions set owner_started = 'before'"))
    assert acme.has_ended(session)


def test_days_are_counted_together(acme: ControlDatabase) -> None:
    day = date(2026, 5, 1)
    assert acme.usage.add(day, {"acme": 3}) == {"acme": 3}
    assert acme.usage.add(day, {"acme": 4}) == {"acme": 7}
    assert (acme.usage.of("acme", day), acme.usage.of("acme", date(2026, 5, 2))) == (7, 0)


def test_bytes_of_uploads_are_counted_apart_from_events(acme: ControlDatabase) -> None:
    day, large = date(2026, 5, 1), 5 * 1024**3
    assert acme.upload_usage.add(day, {"acme": large}) == {"acme": large}
    assert acme.usage.add(day, {"acme": 4}) == {"acme": 4}
    assert acme.upload_usage.add(day, {"acme": 1}) == {"acme": large + 1}
    assert (acme.usage.of("acme", day), acme.upload_usage.of("acme", day)) == (4, large + 1)
