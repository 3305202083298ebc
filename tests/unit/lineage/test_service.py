"""The service tells what it stores, and stores it whether or not anybody can be told."""

from pathlib import Path

import httpx
import pytest

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.lineage.delivery import OUTCOMES
from tests.support.app import App
from tests.support.lineage import ends, events_of

EVENT = {
    "user_id": "u-4711",
    "item_id": "item-secret",
    "interaction_type": "click",
    "timestamp": 1772366400000,
}


def send(app: App) -> None:
    """Send an event of each tenant."""

    async def program(client: httpx.AsyncClient) -> None:
        for tenant in ("good", "bad"):
            answer = await client.post("/v1/events", json=[EVENT], headers=app.headers(tenant))
            assert answer.status_code == 200, answer.text

    app.run(program)


def test_events_are_told_by_tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv("ETA_OPENLINEAGE_URL", path.as_uri())
    app = App(tmp_path / "home")
    send(app)
    app.close()
    text = path.read_text()
    assert "4711" not in text
    assert "secret" not in text
    found = ends(events_of(path), "ingest.api.interactions")
    assert [event["job"]["namespace"] for event in found] == ["eta/good", "eta/bad"]
    for event in found:
        [came], [raw] = event["inputs"], event["outputs"]
        assert came["name"] == "api.interactions"
        assert raw["outputFacets"]["outputStatistics"]["rowCount"] == 1


def test_a_server_that_is_away_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETA_OPENLINEAGE_URL", "http://127.0.0.1:9")  # nobody listens there
    app = App(tmp_path / "home")
    send(app)
    assert len(app.rows(RAW_INTERACTIONS, "good")) == 1
    app.close()
    registry = app.services.metrics.registry
    told = {
        one: registry.get_sample_value("eta_lineage_runs_total", {"outcome": one}) or 0
        for one in OUTCOMES
    }
    assert told["delivered"] == 0
    assert sum(told.values()) == 2
