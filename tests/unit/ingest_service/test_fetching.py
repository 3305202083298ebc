"""What kafka-python cannot read is named with its place, and the readable is returned."""

import struct
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c

from ingest_service.sources.kafka.fetching import FetchGuard

PART = TopicPartition("interactions-raw", 3)


class Consumer:
    """As much of a consumer as the guard touches."""

    def __init__(self) -> None:
        self.raised: Exception | None = None
        self._fetcher = SimpleNamespace(
            _parse_fetched_data=self._parse, PartitionRecords=Fetcher.PartitionRecords
        )

    def _parse(self, fetch: object) -> object:
        if self.raised is not None:
            raise self.raised
        return fetch

    def records(self, data: bytes, first: int = 0) -> list[Any]:
        own = self._fetcher.PartitionRecords(first, PART, MemoryRecords(data))
        found = own.take(100)
        assert not own  # else the client's poll would ask it for ever
        return found


def batch(first: int, *values: bytes, header: str | None = None, codec: int = 0) -> bytes:
    headers = [] if header is None else [(header, b"v")]
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 20)
    for number, value in enumerate(values):
        builder.append(number, 1_000, b"acme", value, headers)
    data = bytearray(builder.build())
    data[:8] = struct.pack(">q", first)
    return bytes(data)


def resealed(data: bytearray) -> bytes:
    """Write the checksum anew, as a producer that wrote these bytes would have."""
    data[17:21] = struct.pack(">I", calc_crc32c(memoryview(data)[21:]))
    return bytes(data)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4], ids=["none", "gzip", "snappy", "lz4", "zstd"])
def test_good_batches_are_read_whatever_their_codec(codec: int) -> None:
    consumer = Consumer()
    guard = FetchGuard(consumer)
    found = consumer.records(batch(0, b"a", b"b" * 999, codec=codec) + batch(2, b"c", codec=codec))
    assert [(one.offset, one.value[:1]) for one in found] == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert guard.take() == {}


def test_a_damaged_batch_is_named_and_what_stands_before_it_is_returned() -> None:
    consumer = Consumer()
    guard = FetchGuard(consumer)
    found = consumer.records(batch(0, b"a") + flipped(batch(1, b"b", b"c")) + batch(3, b"d"))
    assert [one.offset for one in found] == [0]
    (unreadable,) = guard.take().values()
    assert (unreadable.part, unreadable.first, unreadable.last) == (PART, 1, 2)
    assert "damaged" in unreadable.reason
    assert guard.take() == {}


@pytest.mark.parametrize("codec", [1, 2, 3, 4, 5, 7])
def test_bytes_that_do_not_decompress_are_named_though_their_checksum_is_right(codec: int) -> None:
    data = bytearray(batch(5, b"x" * 100))
    data[22] = codec
    consumer = Consumer()
    guard = FetchGuard(consumer)
    assert consumer.records(resealed(data), 5) == []
    (unreadable,) = guard.take().values()
    assert (unreadable.first, unreadable.last) == (5, 5)
    assert unreadable.remedy


def test_a_header_whose_name_is_no_utf8_does_not_hide_the_message() -> None:
    good = batch(0, b"a", b"b", header="qqqq")
    data = resealed(bytearray(good.replace(b"qqqq", b"q\xff\xfeq")))
    consumer = Consumer()
    guard = FetchGuard(consumer)
    found = consumer.records(data)
    assert [one.value for one in found] == [b"a", b"b"]
    assert found[0].headers == [("q??q", b"v")]
    assert guard.take() == {}


def test_what_the_broker_refuses_is_noted_and_an_offset_out_of_range_is_raised() -> None:
    consumer = Consumer()
    guard = FetchGuard(consumer)
    fetch = SimpleNamespace(topic_partition=PART, fetched_offset=7)
    consumer.raised = TopicAuthorizationFailedError({PART.topic})
    assert consumer._fetcher._parse_fetched_data(fetch) is None
    (unreadable,) = guard.take().values()
    assert unreadable.first == 7
    assert "READ" in unreadable.remedy
    consumer.raised = OffsetOutOfRangeError({PART: 7})
    with pytest.raises(OffsetOutOfRangeError):
        consumer._fetcher._parse_fetched_data(fetch)


@pytest.mark.parametrize("codec", [1, 2, 3, 4], ids=["gzip", "snappy", "lz4", "zstd"])
def test_a_batch_that_decompresses_to_too_much_is_named(
    codec: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest_service.sources.kafka.fetching.MOST_BYTES", 300_000)
    consumer = Consumer()
    guard = FetchGuard(consumer)
    found = consumer.records(
        batch(0, b"a" * 200_000, codec=codec) + batch(1, bytes(400_000), codec=codec)
    )
    assert [one.offset for one in found] == [0]
    (unreadable,) = guard.take().values()
    assert unreadable.first == 1
    assert "300,000 bytes" in unreadable.reason
