"""What Kafka's client cannot read, or ought not to: its partition waits, the others flow."""

import pytest
from kafka import KafkaProducer
from prometheus_client import generate_latest

from tests.support.stream import Lane, event, wait_for


def test_every_codec_of_kafka_is_read(lane: Lane) -> None:
    for number, codec in enumerate(("gzip", "snappy", "lz4", "zstd")):
        producer = KafkaProducer(bootstrap_servers=lane.bootstrap, compression_type=codec)
        producer.send(lane.topic(), event(number, location="x" * 500), b"acme")
        producer.close()
    with lane.consuming():
        lane.wait_received(4)
    assert sorted(lane.raw()["event_id"]) == ["e0", "e1", "e2", "e3"]


def test_a_codec_that_is_missing_stops_its_partition_alone_until_it_is_there(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane.send(event(1))
    producer = KafkaProducer(bootstrap_servers=lane.bootstrap, compression_type="lz4")
    producer.send(lane.topic(), event(2, location="x" * 500), b"acme")
    producer.close()
    lane.send(event(3))
    with monkeypatch.context() as patch:
        patch.setattr("kafka.codec.has_lz4", lambda: False)
        running = lane.start(halted_retry_seconds=0.3)
        wait_for(lambda: running.status.halts, "an alarm")
        lane.send(event(4, tenant_id="other"), key=b"other")
        lane.wait_received(2)
        (halt,) = running.status.halts
        text = generate_latest(running.metrics.registry).decode()
        assert running.status.state == "degraded"
    assert sorted(lane.raw()["event_id"]) == ["e1", "e4"]
    assert halt["partition"].startswith(f"{lane.topic()}/")
    assert halt["alarm"] == "unreadable_messages"
    assert f"of {lane.topic()} stands still before offset 1: " in halt["message"]
    assert "lz4" in halt["remedy"]
    assert 'alarm="unreadable_messages"' in text
    lane.wait_received(4)
    wait_for(lambda: running.status.state == "consuming", "it consumes again")
    running.end()
    assert running.errors == []
    assert sorted(lane.raw()["event_id"]) == ["e1", "e2", "e3", "e4"]
    assert lane.check().wrong == ()


def test_aborted_messages_are_not_stored_and_markers_are_no_lost_messages(lane: Lane) -> None:
    producer = KafkaProducer(
        bootstrap_servers=lane.bootstrap, transactional_id=lane.prefix, acks="all"
    )
    producer.init_transactions()
    _abort(producer, lane, 5)
    producer.begin_transaction()
    producer.send(lane.topic(), event(9), b"acme")
    producer.commit_transaction()
    with lane.consuming() as running:
        lane.wait_received(1)
        # five aborted, a marker, one committed, a marker
        wait_for(lambda: lane.committed() == 8, "Kafka's own offset behind the last marker")
        _abort(producer, lane, 3)
        producer.close()
        wait_for(lambda: lane.committed() == 12, "its offset behind what was aborted alone")
        wait_for(lambda: _lag(running) == 0, "no lag")
    assert lane.raw()["event_id"].to_list() == ["e9"]
    assert lane.received() == 1

    with lane.admin() as admin:  # retention takes everything, the last marker too
        from kafka import TopicPartition

        parts = [TopicPartition(lane.topic(), number) for number in range(6)]
        admin.delete_records(dict.fromkeys(parts, -1))
    lane.send(event(10))
    with lane.consuming() as running:
        lane.wait_received(2)
        assert running.status.halts == ()
        wait_for(lambda: _lag(running) == 0, "no lag")
    assert lane.check().wrong == ()


def _abort(producer: KafkaProducer, lane: Lane, count: int) -> None:
    """Send messages in a transaction that comes to nothing."""
    producer.begin_transaction()
    for number in range(count):
        producer.send(lane.topic(), event(number), b"acme")
    producer.flush()
    producer.abort_transaction()


def _lag(running) -> float:
    samples = running.metrics.lag.collect()[0].samples
    return sum(sample.value for sample in samples) if samples else -1.0
