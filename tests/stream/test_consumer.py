"""Topics into the lake: every message once, whoever reads and however often it is sent."""

import json

import polars as pl
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from lakehouse.contracts.tenant import DataType
from lakehouse.contracts.topics import GROUP, message_key
from tests.support.stream import T0, Lane, event, wait_for


def test_all_topics_land_in_their_tables_and_the_ledger_adds_up(lane: Lane) -> None:
    lane.send(*(event(n) for n in range(50)))
    lane.send(*(event(n, tenant_id="other") for n in range(20)), key=b"other")
    for n in range(10):
        item = {"item_id": f"i{n}", "title": "a thing", "price": "1.10", "is_active": True}
        lane.send(
            json.dumps(item).encode(),
            key=message_key(DataType.ITEMS, "acme", f"i{n}"),
            kind=DataType.ITEMS,
        )
    page = {"event_name": "page", "session_id": "s", "user_id": "u", "timestamp": 1_700_000_000_000}
    lane.send(json.dumps(page).encode(), kind=DataType.CLICKSTREAM)

    with lane.consuming():
        lane.wait_received(81)
        wait_for(lambda: lane.committed() == 70, "Kafka's own offsets")

    raw = lane.raw()
    assert dict(raw["tenant_id"].value_counts().iter_rows()) == {"acme": 50, "other": 20}
    assert raw["source_ref"].n_unique() == 70
    assert raw["source"].unique().to_list() == ["kafka"]
    assert lane.raw(DataType.ITEMS).height == 10
    assert lane.raw(DataType.CLICKSTREAM).height == 1
    check = lane.check()
    assert (check.received, check.wrong, check.unfinished) == (81, (), 0)


def test_a_restart_reads_on_where_the_lake_ends_whatever_kafka_says(lane: Lane) -> None:
    lane.send(*(event(n) for n in range(30)))
    with lane.consuming():
        lane.wait_received(30)
    _set_kafkas_offsets(lane, 0)
    lane.send(*(event(n) for n in range(30, 40)))
    with lane.consuming():
        lane.wait_received(40)

    assert lane.received() == 40
    assert sorted(lane.raw()["event_id"]) == sorted(f"e{n}" for n in range(40))
    assert lane.check().wrong == ()


def test_a_topic_read_again_from_its_beginning_adds_no_row(lane: Lane) -> None:
    lane.send(*(event(n) for n in range(30)))
    with lane.consuming():
        lane.wait_received(30)
    before = lane.raw().sort("event_id")
    with lane.consuming(reread=frozenset({lane.topic()})):
        lane.wait_received(60)

    assert lane.raw().sort("event_id").equals(before)
    check = lane.check()
    assert (check.received, check.wrong, check.unfinished) == (60, (), 0)
    with lane.consuming():  # the new reading goes on where it ended
        lane.send(event(99))
        lane.wait_received(61)
    assert lane.received() == 61


def test_two_consumers_share_the_partitions_and_one_takes_over_the_others(lane: Lane) -> None:
    tenants = ("acme", "other")
    keys = [tenant.encode() for tenant in tenants]
    sent = 0
    first = lane.start()
    wait_for(lambda: first.status.state == "consuming", "the first consumes")
    second = lane.start()
    for number in range(120):
        lane.send(event(number, tenant_id=tenants[number % 2]), key=keys[number % 2])
        sent += 1
        if number == 60:
            first.end()
    lane.wait_received(sent)
    second.end()

    assert first.errors == second.errors == []
    assert lane.raw().height == sent
    assert lane.raw()["source_ref"].n_unique() == sent
    check = lane.check()
    assert (check.received, check.wrong, check.unfinished) == (sent, (), 0)


def test_repeated_and_conflicting_events_are_told_apart(lane: Lane) -> None:
    lane.send(event(1), event(1), event(1, item_id="another"))
    with lane.consuming():
        lane.wait_received(3)

    ledger = lane.rows_of_ledger()
    assert ledger.select("stored", "duplicate", "quarantined").sum().row(0) == (1, 1, 1)
    (reason,) = lane.quarantine()["reasons"][0].to_list()
    assert reason["code"] == "conflicting_event"


def test_a_message_may_name_the_mapping_that_reads_it(lane: Lane) -> None:
    from lakehouse.contracts.tenant import TenantSettings
    from lakehouse.control.database import ControlDatabase

    control = ControlDatabase.open(lane.lake.control_url)
    columns = {"user_id": "who.id", "item_id": "what"}
    settings = {"sources": {"till": {"columns": columns}}}
    control.set_tenant_settings("acme", TenantSettings.model_validate(settings))
    control.close()
    sale = {"who": {"id": "u9"}, "what": "i9", "interaction_type": "purchase", "timestamp": T0}
    lane.producer.send(
        lane.topic(), json.dumps(sale).encode(), b"acme", headers=[("eta-mapping", b"till")]
    )
    lane.send(event(1))
    with lane.consuming():
        lane.wait_received(2)

    assert sorted(lane.raw()["user_id"]) == ["u1", "u9"]
    assert lane.quarantine().height == 0


def test_metrics_tell_lag_latency_and_sizes(lane: Lane) -> None:
    from prometheus_client import generate_latest

    lane.send(*(event(n) for n in range(25)), b"{")
    with lane.consuming() as running:
        lane.wait_received(26)
        wait_for(lambda: running.metrics.rows.collect()[0].samples, "counted rows")
        text = generate_latest(running.metrics.registry).decode()

    topic = lane.topic()
    assert f'eta_stream_latency_seconds_count{{topic="{topic}"}} 26.0' in text
    assert 'eta_stream_rows_total{data_type="interactions",outcome="stored"} 25.0' in text
    assert 'eta_stream_rejects_total{code="bad_json",data_type="interactions"} 1.0' in text
    assert "eta_stream_batch_messages_sum 26.0" in text
    assert "eta_stream_commit_seconds_bucket" in text
    assert 'eta_stream_state{eta_stream_state="consuming"} 1.0' in text


def _set_kafkas_offsets(lane: Lane, offset: int) -> None:
    consumer = KafkaConsumer(
        bootstrap_servers=lane.bootstrap, group_id=lane.prefix + GROUP, enable_auto_commit=False
    )
    parts = [TopicPartition(lane.topic(), n) for n in range(6)]
    consumer.commit({part: OffsetAndMetadata(offset, "", -1) for part in parts})
    consumer.close(autocommit=False)
    assert lane.committed() == 0


def test_source_refs_sort_as_offsets_do(lane: Lane) -> None:
    lane.send(*(event(n) for n in range(12)))
    with lane.consuming():
        lane.wait_received(12)
    raw = lane.raw().sort("source_ref")
    assert raw["event_id"].to_list() == [f"e{n}" for n in range(12)]
    assert pl.Series(raw["batch_id"]).str.starts_with(f"kafka.{lane.topic()}.").all()
