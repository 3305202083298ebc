"""Webhook messages that come twice, come wrong or were left: none is lost, none blocks others."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from ingest_service.sources.webhooks import inbox
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.control.database import NewSecret
from lakehouse.errors import EtaError
from tests.support.app import App

_numbers = count()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(tmp_path)
    yield made
    made.close()


def event(user: str) -> dict[str, Any]:
    return {"user_id": user, "item_id": "i", "interaction_type": "view", "event_id": user,
            "timestamp": 1_767_225_600_000}  # fmt: skip


def source_of(app: App, tenant: str = "bad") -> NewSecret:
    return app.control.webhooks.add(
        tenant, "shop", adapter="generic", data_type="interactions", mapping="contract"
    )


async def send(
    client: httpx.AsyncClient,
    source: NewSecret,
    body: Any,
    message_id: str,
    *,
    ago: float = 0,
    secret: str | None = None,
) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    moment = datetime.now(UTC) - timedelta(seconds=ago)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret or source.secret).sign(message_id, moment, content),
    }
    return await client.post(f"/v1/webhooks/{source.source_id}", content=content, headers=headers)


def test_an_empty_message_is_refused_and_breaks_nothing(app: App) -> None:
    source = source_of(app)

    async def program(client: httpx.AsyncClient) -> None:
        for n in range(3):
            empty = await send(client, source, "", f"empty-{n}")
            assert (empty.status_code, empty.json()["code"]) == (400, "empty_body")
        assert (await send(client, source, event("u1"), "m1")).json()["stored"] == 1
        sent = await client.post("/v1/events", json=event("u2"), headers=app.headers("bad"))
        assert sent.status_code == 200

    app.run(program)
    assert len(app.rows(RAW_INTERACTIONS, "bad")) == 2
    assert app.rows(RAW_QUARANTINE, "bad") == []


def test_another_body_under_a_known_id_is_told_and_kept_once(app: App) -> None:
    source = source_of(app)

    async def program(client: httpx.AsyncClient) -> None:
        assert (await send(client, source, event("u1"), "same", ago=9)).json()["stored"] == 1
        for ago in (6, 5, 4):
            other = await send(client, source, event("u2"), "same", ago=ago)
            assert (other.status_code, other.json()["code"]) == (409, "conflicting_message")
        assert (await send(client, source, event("u3"), "same")).status_code == 409
        again = await send(client, source, event("u1"), "same")
        assert (again.status_code, again.json()["status"]) == (200, "duplicate")

    app.run(program)
    kept = app.rows(RAW_QUARANTINE, "bad")
    assert sorted(json.loads(row["raw"])["user_id"] for row in kept) == ["u2", "u3"]
    assert {reason["code"] for row in kept for reason in row["reasons"]} == {"conflicting_message"}
    assert [row["user_id"] for row in app.rows(RAW_INTERACTIONS, "bad")] == ["u1"]


def test_a_repetition_beside_the_first_attempt_is_to_be_sent_again(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(app)

    async def program(client: httpx.AsyncClient) -> None:
        begun, may_go_on = asyncio.Event(), asyncio.Event()
        write = app.services.writer.write

        async def slow(request: Any) -> Any:
            begun.set()
            await may_go_on.wait()
            return await write(request)

        monkeypatch.setattr(app.services.writer, "write", slow)
        first = asyncio.create_task(send(client, source, event("u1"), "m", ago=5))
        await begun.wait()
        for ago in (5, 0):
            early = await send(client, source, event("u1"), "m", ago=ago)
            assert (early.status_code, early.json()["code"]) == (503, "message_in_progress")
            assert int(early.headers["Retry-After"]) > 0
        may_go_on.set()
        assert (await first).json()["stored"] == 1
        assert (await send(client, source, event("u1"), "m")).json()["status"] == "duplicate"

    app.run(program)
    assert len(app.rows(RAW_INTERACTIONS, "bad")) == 1


def test_what_was_left_is_stored_whatever_became_of_its_source(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "PAGE", 1)
    removed, poison, used = source_of(app), source_of(app), source_of(app, "good")
    session = app.control.sessions.begin()
    with app.control.connections.write() as connection:  # as a process that is dead by now
        connection.execute(
            text("update writer_sessions set owner_pid = 999999999 where session_id = :s"),
            {"s": session},
        )
    for n, source in enumerate((removed, poison, used)):
        body = json.dumps(event(f"left-{n}")).encode()
        app.control.messages.receive(source.source_id, "left", 100 + n, body, session)
    app.control.webhooks.remove(removed.source_id)
    assert set(app.control.messages.waiting().values()) == {1}
    whole = inbox.rows_of
    broken = [True]

    def fragile(adapter: str, body: bytes, *rest: Any) -> Any:
        if broken[0] and b"left-1" in body:
            raise Panic
        return whole(adapter, body, *rest)

    class Panic(BaseException):
        pass

    monkeypatch.setattr(inbox, "rows_of", fragile)

    async def until(waiting: set[str]) -> None:
        async with asyncio.timeout(10):
            while set(app.control.messages.waiting()) != waiting:
                await asyncio.sleep(0.02)

    async def program(_: httpx.AsyncClient) -> None:
        await until({poison.source_id})
        broken[0] = False
        await app.services.inbox._store_left()
        await until(set())

    app.run(program)
    assert [row["user_id"] for row in app.rows(RAW_INTERACTIONS, "good")] == ["left-2"]
    stored = sorted(row["user_id"] for row in app.rows(RAW_INTERACTIONS, "bad"))
    assert stored == ["left-0", "left-1"]


@pytest.mark.parametrize("change", ["done", "forget"])
def test_a_message_whose_state_could_not_be_noted_is_looked_at_later(
    app: App, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    source = source_of(app)
    messages = app.services.control.messages  # type: ignore[attr-defined]

    def away(*_: Any) -> None:
        raise EtaError("the database is away", remedy="wait")

    async def program(client: httpx.AsyncClient) -> None:
        with monkeypatch.context() as patches:
            patches.setattr(messages, change, away)
            if change == "forget":
                patches.setattr(app.services.writer, "write", away)
            first = await send(client, source, event("u1"), "m", ago=2)
            assert first.status_code == (200 if change == "done" else 503)
        assert set(app.control.messages.waiting()) == {source.source_id}
        assert (await send(client, source, event("u1"), "m")).json()["status"] == "duplicate"
        await app.services.inbox._store_left()
        assert app.control.messages.waiting() == {}

    app.run(program)
    assert len(app.rows(RAW_INTERACTIONS, "bad")) == 1


def test_the_last_use_of_a_source_and_of_its_old_secret_is_noted(app: App) -> None:
    source = source_of(app)
    renewed = app.control.webhooks.rotate(source.source_id)

    def uses() -> list[bool]:
        (found,) = app.control.webhooks.list("bad")
        return [found.last_used_at is not None, found.previous_used_at is not None]

    async def program(client: httpx.AsyncClient) -> None:
        assert uses() == [False, False]
        await send(client, source, event("u1"), "m1", secret=renewed.secret)
        assert uses() == [True, False]
        await send(client, source, event("u2"), "m2", secret=source.secret)
        assert uses() == [True, True]

    app.run(program)
    app.control.webhooks.retire(source.source_id)
    assert uses() == [True, False]
