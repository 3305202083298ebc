"""Names the partition and the offset of what kafka-python cannot read, instead of raising it.

An error within a fetch (no such codec, a CRC that does not match, a batch that does not decode,
a topic that may not be read) leaves kafka-python's `poll` without its place and stops every other
partition. The guard notes it with its place and lets the poll go on with the rest. Nothing is
skipped: the partition's position stays at the first message that could not be read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import (
    AuthorizationError,
    CorruptRecordError,
    OffsetOutOfRangeError,
    UnsupportedCodecError,
)
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint

from ingest_service.sources.kafka.codecs import TooLargeError, decompressed

MOST_BYTES: Final = 256 * 1024 * 1024
_NEWEST_MAGIC: Final = 2


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What a partition holds and nobody can read: offsets from `first` up to `last` (or more)."""

    part: TopicPartition
    first: int
    last: int | None
    reason: str
    remedy: str


class FetchGuard:
    """Notes what a consumer's fetches could not read; `take` hands it over, per partition."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._unreadable: dict[TopicPartition, Unreadable] = {}
        # kafka-python has no public place for this; tests hold it against its next versions.
        fetcher = consumer._fetcher  # noqa: SLF001
        self._parse = fetcher._parse_fetched_data  # noqa: SLF001
        fetcher._parse_fetched_data = self._parsed  # noqa: SLF001
        fetcher.PartitionRecords = self._records

    def take(self) -> dict[TopicPartition, Unreadable]:
        """Return what was noted since the last call."""
        found, self._unreadable = self._unreadable, {}
        return found

    def _parsed(self, fetch: Any) -> Any:
        part, offset = fetch.topic_partition, fetch.fetched_offset
        try:
            return self._parse(fetch)
        except OffsetOutOfRangeError:
            raise  # where to read on is decided by a new take-over
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this partition's
            self.note(part, offset, None, error)
            return None

    def _records(self, fetch_offset: int, part: TopicPartition, records: Any, **more: Any) -> Any:
        return _GuardedRecords(self, fetch_offset, part, records, **more)

    def note(
        self, part: TopicPartition, first: int, last: int | None, error: BaseException
    ) -> None:
        """Keep what could not be read: the offsets from `first` to `last`, if that is known."""
        reason, remedy = _explained(error, part)
        self._unreadable[part] = Unreadable(part, first, last, reason, remedy)


class _GuardedRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of one fetch; ends before the first that cannot be read."""

    def __init__(self, guard: FetchGuard, *arguments: Any, **more: Any) -> None:
        self._guard = guard
        super().__init__(*arguments, **more)

    def _unpack_records(self, tp: TopicPartition, records: Any, *more: Any) -> Iterator[Any]:
        batches = _Batches(records)
        try:
            yield from super()._unpack_records(tp, batches, *more)
        except Exception as error:  # noqa: BLE001 - damaged bytes fail in every way
            first = self.next_fetch_offset
            last = batches.last_offset
            self._guard.note(tp, first, last if last is not None and last >= first else None, error)
            self.drain()


class _Batches:
    """A fetch's batches, read leniently; remembers where the latest one ends."""

    def __init__(self, records: Any) -> None:
        self._records = records
        self.last_offset: int | None = None

    def next_batch(self) -> Any:
        """Return the next batch, None at the end."""
        self.last_offset = None
        batch = self._records.next_batch()
        if batch is not None and batch.magic == _NEWEST_MAGIC:
            batch = _LenientBatch(batch._buffer)  # noqa: SLF001
            self.last_offset = batch.last_offset
        return batch


class _LenientBatch(DefaultRecordBatch):  # type: ignore[misc]
    """Reads headers whose names are not UTF-8, which Kafka takes from producers in C.

    Decompresses to `MOST_BYTES` at most: a batch of one megabyte can hold terabytes of zeros.
    """

    _buffer: bytearray
    _pos: int
    _decompressed: bool

    def _maybe_uncompress(self) -> None:
        codec = self.compression_type
        if not self._decompressed and codec != self.CODEC_NONE:
            self._assert_has_codec(codec)
            data = bytes(memoryview(self._buffer)[self._pos :])
            self._buffer = bytearray(decompressed(codec, data, MOST_BYTES))
            self._pos = 0
        self._decompressed = True

    def _read_msg(self) -> Any:
        try:
            return super()._read_msg()
        except UnicodeDecodeError:
            self._replace_header_names()
            return super()._read_msg()

    def _replace_header_names(self) -> None:
        """Make the names of the next record's headers ASCII, byte for byte."""
        buffer, pos = self._buffer, self._pos
        for _ in range(4):  # length, attributes, timestamp, offset
            _, pos = decode_varint(buffer, pos)
        for _ in range(2):  # key, value
            size, pos = decode_varint(buffer, pos)
            pos += max(0, size)
        count, pos = decode_varint(buffer, pos)
        for _ in range(count):
            size, pos = decode_varint(buffer, pos)
            name = buffer[pos : pos + size]
            try:
                name.decode("utf-8")
            except UnicodeDecodeError:
                buffer[pos : pos + size] = bytes(b if b < 0x80 else 0x3F for b in name)
            pos += size
            size, pos = decode_varint(buffer, pos)
            pos += max(0, size)


def _explained(error: BaseException, part: TopicPartition) -> tuple[str, str]:
    """Return why something cannot be read, without a byte of it, and what to do."""
    kind = type(error).__name__
    if isinstance(error, UnsupportedCodecError):
        return (
            f"their compression cannot be undone here ({error})",
            "install the codec's library (`uv sync`: lz4, python-snappy, zstandard); "
            "the partition goes on by itself after a restart",
        )
    if isinstance(error, AuthorizationError):
        return (
            "Kafka does not allow this consumer to read them",
            f"give its principal READ on the topic {part.topic}; the partition goes on by itself",
        )
    reason = f"they do not decode ({kind})"
    if isinstance(error, TooLargeError):
        reason = f"they decompress to more than {MOST_BYTES:,} bytes"
    if isinstance(error, CorruptRecordError):
        reason = "the bytes are damaged (checksum or framing)"
    return (
        reason,
        "see the broker's disk and replicas; if they are lost, send them again from their source, "
        "delete the partition's records up to and with them (`kafka-delete-records`), and go on "
        f"with `eta consume --reread {part.topic}`",
    )
