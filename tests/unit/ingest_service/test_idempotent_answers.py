"""What is kept of answers under an Idempotency-Key: bounded, and still once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.control.endings import Endings
from tests.support.app import App


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(tmp_path, idempotent_answer_bytes=1_024, idempotency_keys=2)
    yield made
    made.close()


def events(count: int) -> list[dict[str, Any]]:
    return [
        {"event_id": f"e{n}", "user_id": "u", "item_id": "i", "interaction_type": "view",
         "timestamp": 1_767_225_600_000}
        for n in range(count)
    ]  # fmt: skip


def test_a_long_answer_is_given_again_without_its_list_and_keys_have_an_end(app: App) -> None:
    async def send(client: httpx.AsyncClient, key: str, count: int) -> httpx.Response:
        headers = app.headers("bad", **{"Idempotency-Key": key})
        return await client.post("/v1/events", json=events(count), headers=headers)

    async def program(client: httpx.AsyncClient) -> None:
        first, again = await send(client, "long", 60), await send(client, "long", 60)
        assert len(first.json()["results"]) == 60
        assert again.headers["Idempotent-Replayed"] == "true"
        assert {**again.json(), "results": first.json()["results"], "cut": None} == {
            **first.json(),
            "cut": None,
        }
        assert (again.json()["results"], again.json()["cut"]) == ([], ["results"])
        short, same = await send(client, "short", 1), await send(client, "short", 1)
        assert short.json() == same.json()
        refused = await send(client, "third", 2)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_idempotency_keys")
        assert int(refused.headers["Retry-After"]) > 0

    app.run(program)
    assert len(app.rows(RAW_INTERACTIONS, "bad")) == 60
    metrics = app.services.metrics
    assert metrics.answers_cut._value.get() == 1
    assert metrics.keys_refused._value.get() == 1


def test_an_answer_that_could_not_be_kept_is_given_and_its_key_is_not_busy(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OSError

    async def program(client: httpx.AsyncClient) -> None:
        headers = app.headers("bad", **{"Idempotency-Key": "k"})
        with monkeypatch.context() as patches:
            patches.setattr(Endings, "_end", away)
            first = await client.post("/v1/events", json=events(1), headers=headers)
        again = await client.post("/v1/events", json=events(1), headers=headers)
        assert [first.status_code, again.status_code] == [200, 200]
        assert again.json() == first.json()

    app.run(program)
