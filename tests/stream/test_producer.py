"""Events into topics: where they land, what is told, and the service that writes through Kafka."""

import json
import time
from pathlib import Path

import psutil
import pytest
from kafka import KafkaConsumer, TopicPartition
from typer.testing import CliRunner

from ingest_service.stream.encoding import AvroEncoder
from ingest_service.stream.producer import DeliveryError, InteractionProducer
from lakehouse.cli.main import app
from lakehouse.contracts.tenant import DataType
from lakehouse.dev.servers import Server
from lakehouse.errors import EtaError
from tests.support.stream import T0, Lane, wait_for

ROW = {"user_id": "u1", "item_id": "i1", "interaction_type": "view", "timestamp": T0}


def test_keys_keep_tenants_and_items_in_order(lane: Lane) -> None:
    with InteractionProducer(lane.bootstrap, topic_prefix=lane.prefix) as producer:
        placed = [producer.send("acme", {**ROW, "timestamp": T0 + n}) for n in range(20)]
        item = producer.send("acme", {"item_id": "i1"}, DataType.ITEMS)
        producer.flush()
        assert producer.counts.delivered == 21
    parts = {one.result().partition for one in placed}
    assert len(parts) == 1
    assert [one.result().offset for one in placed] == list(range(20))
    assert keys(lane, DataType.ITEMS, item.result().partition) == [b"acme:i1"]
    assert keys(lane, DataType.INTERACTIONS, parts.pop()) == [b"acme"] * 20


def test_a_failed_delivery_is_told_by_future_callback_and_flush(lane: Lane) -> None:
    told: list[DeliveryError] = []
    where = {"topic_prefix": lane.prefix, "max_request_size": 8_000_000}
    producer = InteractionProducer(lane.bootstrap, on_error=told.append, **where)
    delivery = producer.send("acme", {**ROW, "location": "x" * 2_000_000})
    with pytest.raises(DeliveryError, match="larger than") as caught:
        producer.flush()
    assert delivery.exception() is told[0] is caught.value
    assert (producer.counts.sent, producer.counts.delivered, producer.counts.failed) == (1, 0, 1)
    producer.close()


def test_a_broker_that_is_away_for_a_while_gets_each_message_once(
    lane: Lane, broker: Server
) -> None:
    with InteractionProducer(lane.bootstrap, topic_prefix=lane.prefix) as producer:
        producer.send("acme", ROW).result(30)
        process = psutil.Process(broker.pid)
        process.suspend()
        try:
            late = [producer.send("acme", {**ROW, "timestamp": T0 + n}) for n in range(1, 11)]
            time.sleep(1.0)
            assert not any(one.done() for one in late)
        finally:
            process.resume()
        assert [one.result(30).offset for one in late] == list(range(1, 11))


def test_what_cannot_be_written_is_refused_at_once(avro_lane: Lane) -> None:
    lane = avro_lane
    encoder = AvroEncoder(str(lane.registry), lane.prefix)
    with InteractionProducer(lane.bootstrap, topic_prefix=lane.prefix, encoder=encoder) as producer:
        with pytest.raises(EtaError, match="cannot be written"):
            producer.send("acme", {"user_id": 7})
        with pytest.raises(EtaError, match="tenant id"):
            producer.send("../acme", ROW)
        assert producer.counts.sent == 0
    with pytest.raises(EtaError, match="no Kafka broker answers"):
        InteractionProducer("127.0.0.1:9", bootstrap_timeout_ms=300)


def test_files_are_sent_by_the_command(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETA_STREAM_BOOTSTRAP_SERVERS", lane.bootstrap)
    monkeypatch.setenv("ETA_STREAM_TOPIC_PREFIX", lane.prefix)
    file = tmp_path / "clicks.csv"
    lines = [f"u{n},i{n},view,{T0 + n}" for n in range(30)]
    file.write_text("\n".join(["user_id,item_id,interaction_type,timestamp", *lines]))
    said = CliRunner().invoke(app, ["produce", str(file), "--tenant", "acme", "--rate", "1000"])
    assert said.exit_code == 0, said.output
    assert "30 of 30 messages delivered" in said.output
    with lane.consuming():
        lane.wait_received(30)
    assert lane.raw()["user_id"].n_unique() == 30
    wrong = CliRunner().invoke(app, ["produce", __file__, "--tenant", "acme"])
    assert wrong.exit_code == 1
    assert ".csv, .ndjson" in wrong.output


def keys(lane: Lane, kind: DataType, number: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=lane.bootstrap, enable_auto_commit=False)
    part = TopicPartition(lane.topic(kind), number)
    consumer.assign([part])
    consumer.seek(part, 0)
    found: list[bytes] = []

    def has_come() -> bool:
        for records in consumer.poll(200).values():
            assert all(json.loads(record.value)["tenant_id"] == "acme" for record in records)
            found.extend(record.key for record in records)
        return bool(found)

    wait_for(has_come, "messages")
    consumer.close()
    return found
