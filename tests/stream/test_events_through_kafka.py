"""The Events API with Kafka behind it: queued when the topic has it, wrong events kept."""

import httpx

from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_QUARANTINE
from tests.support.service import RunningService
from tests.support.stream import T0, Lane


def test_events_go_through_the_topic_and_wrong_ones_into_quarantine(lane: Lane) -> None:
    environment = {
        "ETA_SERVICE_EVENTS_THROUGH": "kafka",
        "ETA_STREAM_BOOTSTRAP_SERVERS": lane.bootstrap,
        "ETA_STREAM_TOPIC_PREFIX": lane.prefix,
    }
    service = RunningService(lane.home, environment)
    key = service.add_key("acme", "ingest")
    service.start()
    try:
        good = {"user_id": "u", "item_id": "i", "interaction_type": "click", "timestamp": T0}
        sent = [{**good, "event_id": "e1"}, {**good, "timestamp": "x"}, {**good, "rating": 4.50}]
        answer = httpx.post(
            f"{service.base_url}/v1/events", json=sent, headers={"X-API-Key": key}, timeout=60
        )
        alone = httpx.post(
            f"{service.base_url}/v1/events", json=sent[0], headers={"X-API-Key": key}, timeout=60
        )
        assert answer.status_code == 207
        told = answer.json()
        assert [found["status"] for found in told["results"]] == ["queued", "rejected", "queued"]
        assert told["results"][1]["reasons"][0]["code"] == "bad_timestamp"
        assert alone.status_code == 202
        with lane.consuming():
            lane.wait_received(4)
        rows = service.rows(RAW_INTERACTIONS, "acme")
        assert sorted((row["event_id"], row["rating"]) for row in rows)[-1] == ("e1", None)
        assert len(rows) == 2
        (kept,) = service.rows(RAW_QUARANTINE, "acme")
        assert kept["source"] == "api"
        check = lane.check()
        assert not check.wrong
    finally:
        service.stop()
