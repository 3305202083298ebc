"""What goes wrong in topics, brokers, registries and stores: the rest flows, nothing is lost."""

import base64
import json
from collections import Counter
from functools import cache

import psutil
import pytest
from kafka import TopicPartition
from schema_registry.client import SchemaRegistryClient, schema

from ingest_service.stream.encoding import AvroEncoder
from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.contracts.tenant import UNATTRIBUTED, DataType
from lakehouse.contracts.topics import topics
from lakehouse.dev.kafka import ensure_topics
from lakehouse.dev.servers import Server
from lakehouse.storage.lake import Lake
from lakehouse.storage.quarantine import Quarantine
from tests.support.stream import T0, Lane, event, wait_for

ROW = {"user_id": "u", "item_id": "i", "interaction_type": "view", "timestamp": T0}


def codes_of(lane: Lane) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for tenant, reasons in lane.quarantine().select("tenant_id", "reasons").iter_rows():
        found.setdefault(tenant, Counter()).update(reason["code"] for reason in reasons)
    return found


def test_every_poisoned_message_is_kept_aside_with_its_place_and_the_rest_flows(
    avro_lane: Lane,
) -> None:
    lane = avro_lane
    encoder = AvroEncoder(str(lane.registry), lane.prefix)
    good = encoder.encode("acme", DataType.INTERACTIONS, ROW)
    poison = {
        "undecodable": b"\xff\xfe\x01",
        "broken": b'{"user_id": ',
        "unknown schema": b"\0" + (999_999).to_bytes(4, "big") + b"xx",
        "damaged avro": good[:9],
        "no schema id": b"\0\1",
        "tombstone": None,
        "other tenant": event(7, tenant_id="other"),
    }
    lane.send(event(1), good)
    lane.send(*poison.values())
    lane.send(event(2), key=b"nobody")
    lane.send(event(3), key=None)
    lane.send(event(4))
    with lane.consuming(reject_share=1.0):
        lane.wait_received(12)

    assert lane.raw()["event_id"].n_unique() == lane.raw().height == 3
    assert codes_of(lane) == {
        "acme": Counter(bad_json=2, unknown_schema=1, bad_avro=2, tombstone=1),
        UNATTRIBUTED: Counter(tenant_mismatch=1, unknown_tenant=2),
    }
    aside = lane.quarantine().sort("source_ref")
    places = {bytes(raw): place for raw, place in aside.select("raw", "source_ref").iter_rows()}
    assert places[b"\xff\xfe\x01"] == f"{lane.topic()}:{_part_of_acme(lane)}:{2:019}"
    assert aside["source_ref"].n_unique() == 9
    mismatch = next(
        json.loads(raw)
        for raw, reasons in aside.select("raw", "reasons").iter_rows()
        if reasons[0]["code"] == "tenant_mismatch"
    )
    assert base64.b64decode(mismatch["key"]) == b"acme"
    assert base64.b64decode(mismatch["value"]) == poison["other tenant"]
    check = lane.check()
    assert (check.received, check.wrong, check.unfinished) == (12, (), 0)
    open_rows = Quarantine(cache(Lake(lane.lake).table), UNATTRIBUTED)
    assert sum(found.rows for found in open_rows.reasons()) == 3


def test_a_message_of_20_mb_goes_to_quarantine_and_the_rest_flows(lane: Lane) -> None:
    with lane.admin() as admin:
        admin.delete_topics([lane.topic()])
        name = lane.topic()
        wait_for(lambda: name not in admin.list_topics(), "the topic is gone")
        config = {"max.message.bytes": str(32 * 1024 * 1024)}
        spec = {"num_partitions": 1, "replication_factor": 1, "configs": config}
        admin.create_topics({name: spec}, wait_for_metadata=True)
    large = event(2, location="x" * 20 * 1024 * 1024)
    lane.send(event(1), large, event(3))
    with lane.consuming():
        lane.wait_received(3)

    assert sorted(lane.raw()["event_id"]) == ["e1", "e3"]
    aside = lane.quarantine()
    assert aside["raw"].to_list() == [large]
    assert aside["reasons"][0][0]["code"] == "message_too_large"
    assert lane.check().wrong == ()


def test_too_many_rejects_of_a_tenant_raise_an_alarm_and_nobody_stops(lane: Lane) -> None:
    lane.send(*(event(n) for n in range(150)))
    lane.send(*(event(n, interaction_type="stare") for n in range(200, 400)))
    with lane.consuming(reject_share=0.3, reject_window=100) as running:
        wait_for(lambda: running.status.rejects, "the alarm")
        (alarm,) = running.status.rejects
        assert (alarm["alarm"], alarm["tenant"]) == ("too_many_rejects", "acme")
        assert "unknown_interaction_type" in alarm["message"]
        assert "eta quarantine list --tenant acme" in alarm["remedy"]
        assert running.status.state == "degraded"
        assert running.status.halts == ()
        lane.send(event(500, tenant_id="other"), key=b"other")
        lane.send(event(501))
        lane.wait_received(352)
    assert lane.raw().height == 152
    assert lane.quarantine().height == 200
    assert lane.check().wrong == ()


def test_a_topic_made_anew_raises_an_alarm_until_somebody_says_so(lane: Lane) -> None:
    lane.send(*(event(n) for n in range(20)))
    with lane.consuming():
        lane.wait_received(20)
    with lane.admin() as admin:
        admin.delete_topics([lane.topic()])
        wait_for(lambda: lane.topic() not in admin.list_topics(), "the topic is gone")
    ensure_topics(lane.bootstrap, topics(lane.prefix))
    # more messages than before: offsets alone would not tell
    lane.send(*(event(n) for n in range(15, 45)))
    halt = lane.start().alarm()

    assert halt["alarm"] == "topic_recreated"
    assert f"--reread {lane.topic()}" in halt["remedy"]
    assert lane.received() == 20
    with lane.consuming(reread=frozenset({lane.topic()})):
        lane.wait_received(50)
    assert sorted(lane.raw()["event_id"]) == sorted(f"e{n}" for n in range(45))
    assert lane.check().wrong == ()


def test_messages_deleted_unread_raise_an_alarm(lane: Lane) -> None:
    lane.send(*(event(n) for n in range(10)))
    with lane.consuming():
        lane.wait_received(10)
    lane.send(*(event(n) for n in range(10, 30)))
    with lane.admin() as admin:
        part = next(TopicPartition(lane.topic(), n) for n in range(6) if _end(lane, n) == 30)
        admin.delete_records({part: 25})
    running = lane.start()
    wait_for(lambda: running.status.halts, "an alarm")
    lane.send(event(0, tenant_id="other"), key=b"other")  # another partition flows
    lane.wait_received(11)
    halt = running.alarm()

    assert halt["alarm"] == "retention_gap"
    assert "15 were deleted unread" in halt["message"]
    with lane.consuming(reread=frozenset({lane.topic()})):
        lane.wait_received(17)
    assert lane.raw().height == 16
    assert lane.check().wrong == ()


def test_a_topic_deleted_under_the_consumer_is_told_and_the_others_flow(lane: Lane) -> None:
    lane.send(event(1))
    running = lane.start()
    lane.wait_received(1)
    with lane.admin() as admin:
        admin.delete_topics([lane.topic()])
    restarted = lane.start()
    wait_for(lambda: "does not exist" in restarted.status.detail, "the status names the topic")
    assert lane.topic() in restarted.status.detail
    assert restarted.status.halts[0]["alarm"] == "topic_missing"
    page = {"event_name": "page", "session_id": "s", "user_id": "u", "timestamp": T0}
    lane.send(json.dumps(page).encode(), kind=DataType.CLICKSTREAM)  # the other topics flow
    lane.wait_received(2)
    restarted.end()
    running.stop.set()
    running.thread.join(30)


def test_a_broker_that_is_away_for_a_while_costs_nothing(lane: Lane, broker: Server) -> None:
    lane.send(*(event(n) for n in range(10)))
    running = lane.start()
    lane.wait_received(10)
    process = psutil.Process(broker.pid)
    process.suspend()
    try:
        wait_for(lambda: running.status.is_waiting_for("Kafka does not answer"), "the status")
    finally:
        process.resume()
    lane.send(*(event(n) for n in range(10, 20)))
    lane.wait_received(20)
    wait_for(lambda: running.status.state == "consuming", "it consumes again")
    running.end()
    assert running.errors == []
    assert lane.raw().height == 20
    assert lane.check().wrong == ()


def test_a_store_that_is_away_for_a_while_costs_nothing(lane: Lane) -> None:
    lane.send(*(event(n) for n in range(10)))
    running = lane.start()
    lane.wait_received(10)
    table = lane.home / "lake" / RAW_INTERACTIONS.path
    away = table.with_name("away")
    table.rename(away)
    table.write_text("no folder, so nothing can be read or written here")
    lane.send(*(event(n) for n in range(10, 20)))
    wait_for(lambda: running.status.is_waiting_for("the store did not take"), "the status")
    table.unlink()
    away.rename(table)
    wait_for(lambda: lane.raw().height == 20, "the rows")
    running.end()

    assert running.errors == []
    check = lane.check()
    assert (check.received, check.wrong, check.unfinished) == (20, (), 0)


def test_a_registry_that_is_away_for_a_while_costs_nothing(
    avro_lane: Lane, registry: Server
) -> None:
    lane = avro_lane
    encoder = AvroEncoder(str(lane.registry), lane.prefix)
    lane.send(event(1), encoder.encode("acme", DataType.INTERACTIONS, ROW))
    lane.send(event(2, tenant_id="other"), key=b"other")
    process = psutil.Process(registry.pid)
    process.suspend()
    try:
        running = lane.start()
        wait_for(lambda: running.status.halts, "the status", 60)
        assert running.status.halts[0]["alarm"] == "registry_away"
        lane.wait_received(1)  # another partition, without Avro, flows
        assert lane.raw()["tenant_id"].to_list() == ["other"]
    finally:
        process.resume()
    lane.wait_received(3)
    running.end()
    assert running.errors == []
    assert lane.raw().height == 3
    assert lane.quarantine().height == 0


def test_old_and_new_producers_are_read_and_a_breaking_schema_is_refused(avro_lane: Lane) -> None:
    from lakehouse.contracts.avro_schemas import avro_schema, subject
    from lakehouse.errors import EtaError
    from lakehouse.storage.registry import Registry

    lane, kind = avro_lane, DataType.INTERACTIONS
    assert {one.state for one in Registry(str(lane.registry), lane.prefix).check()} == {"new"}
    old = json.loads(json.dumps(avro_schema(kind)))
    old["fields"] = [f for f in old["fields"] if f["name"] not in ("rating", "event_id")]
    client = SchemaRegistryClient(str(lane.registry))
    old_id = client.register(subject(kind, lane.prefix), schema.AvroSchema(old))
    current = Registry(str(lane.registry), lane.prefix)
    assert current.check()[0].state == "compatible"
    current.register()
    assert {one.state for one in current.check()} == {"registered"}

    newer = json.loads(json.dumps(avro_schema(kind)))
    newer["fields"].append({"name": "shelf", "type": ["null", "string"], "default": None})
    newer_registry = Registry(str(lane.registry), lane.prefix, _with(kind, newer))
    assert newer_registry.check()[0].state == "compatible"
    new_id = newer_registry.register()[0].schema_id
    breaking = json.loads(json.dumps(avro_schema(kind)))
    breaking["fields"].append({"name": "shop", "type": "string"})
    refused = Registry(str(lane.registry), lane.prefix, _with(kind, breaking))
    assert refused.check()[0].state == "incompatible"
    with pytest.raises(EtaError, match="could not read"):
        refused.register()

    from schema_registry.serializers.message_serializer import AvroMessageSerializer

    writer = AvroMessageSerializer(client)
    present = AvroEncoder(str(lane.registry), lane.prefix)
    lane.send(
        writer.encode_record_with_schema_id(old_id, {**ROW, "user_id": "old"}),
        present.encode("acme", kind, {**ROW, "user_id": "present", "rating": 4.5}),
        writer.encode_record_with_schema_id(new_id, {**ROW, "user_id": "new", "shelf": "top"}),
    )
    with lane.consuming():
        lane.wait_received(3)
    rows = lane.raw().sort("user_id")
    assert rows["user_id"].to_list() == ["new", "old", "present"]
    assert rows["rating"].to_list() == [None, None, 4.5]
    assert lane.quarantine().height == 0


def test_avro_messages_are_mended_by_settings_and_taken_in_once(avro_lane: Lane) -> None:
    from ingest_service.settings import ServiceSettings
    from ingest_service.wiring import replay
    from lakehouse.contracts.tenant import TenantSettings
    from lakehouse.control.database import ControlDatabase

    lane = avro_lane
    encoder = AvroEncoder(str(lane.registry), lane.prefix)
    lane.send(
        *(encoder.encode("acme", DataType.INTERACTIONS, {**ROW, "timestamp": n}) for n in range(3))
    )
    with lane.consuming(reject_share=1.0):
        lane.wait_received(3)
    assert lane.quarantine().height == 3
    control = ControlDatabase.open(lane.lake.control_url)
    wide = {"time_range": {"start": "1960-01-01", "end": "2030-01-01"}}
    control.set_tenant_settings("acme", TenantSettings.model_validate(wide))
    control.close()
    for stored in (3, 0):
        done = replay(lane.lake, ServiceSettings(), "acme", None, None, None)
        assert sum(one.stored for one in done) == stored
    assert lane.raw().height == 3
    check = lane.check()
    assert (check.received, check.wrong, check.unfinished) == (3, (), 0)


def _with(kind, changed):
    from lakehouse.contracts.avro_schemas import avro_schema

    return lambda wanted: changed if wanted is kind else avro_schema(wanted)


def _part_of_acme(lane: Lane) -> int:
    return next(n for n in range(6) if _end(lane, n) > 5)


def _end(lane: Lane, number: int) -> int:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(bootstrap_servers=lane.bootstrap, enable_auto_commit=False)
    try:
        part = TopicPartition(lane.topic(), number)
        return int(consumer.end_offsets([part])[part])
    finally:
        consumer.close()
