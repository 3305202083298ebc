"""Messages into the lake exactly once: offsets move in the commit that stores the rows.

Like a file's batch, a micro-batch commits quarantine, ledger, raw in this order, and raw is the
authority. What is different: a commit holds rows of many tenants, and the transactions are those
of its feeds (`lakehouse.storage.stream_offsets`), two per feed: its next offset, and the number
of the take-over by which this process owns it.

Who is given a partition takes it over first: it puts its number into all three tables, so that
nothing of an earlier owner can be committed any more, however late it comes; then it removes what
earlier owners left beside raw; then it reads on where raw ends (docs/adr/0018).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import pyarrow as pa
from deltalake import DeltaTable

from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_QUARANTINE, RAW_TABLES, TableSpec
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError
from lakehouse.lineage.batches import OnMessages, StoredMessages
from lakehouse.storage.maintenance import Day
from lakehouse.storage.staging import StagedFile, StagedRows
from lakehouse.storage.stream_offsets import Feed, Partition

_log = logging.getLogger(__name__)

TAKE_OVER_TRIES: Final = 10
CLEAN_EVERY: Final = 250
"""Batches after which the logs are looked at."""
BESIDE_RAW: Final = (RAW_QUARANTINE, OPS_INGEST_LEDGER)


class FencedError(EtaError):
    """Another consumer owns a partition now; nothing of the batch is stored by this one."""

    def __init__(self, message: str = "another consumer has taken over a partition") -> None:
        super().__init__(
            message,
            remedy="nothing is lost: this consumer begins anew; when it happens all the time, "
            "look for a second consumer group that writes to this lake",
        )


class StreamHaltError(EtaError):
    """What a person has to look at before the consumer may go on; `alarm` is a stable name."""

    def __init__(self, alarm: str, message: str, *, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.alarm = alarm


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the broker has of a partition: offsets [first, end), of the topic with this number."""

    first: int
    end: int
    topic_number: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """A feed that this process owns; `offset` is of the next message to store."""

    feed: Feed
    data_type: DataType
    epoch: int
    offset: int


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """What a batch does to a feed: messages [assignment.offset, after) are dealt with."""

    assignment: Assignment
    after: int


@dataclass(frozen=True, slots=True)
class StreamRows:
    """Rows of a micro-batch per tenant, as the tables have them less the partition columns."""

    raw: Mapping[tuple[DataType, str], Sequence[pa.Table]]
    quarantine: Mapping[str, Sequence[pa.Table]]
    ledger: Mapping[str, Sequence[pa.Table]]
    ingest_date: str
    name: str
    """In the names of the data files."""


class StreamSink:
    """Takes partitions over and stores micro-batches; for one thread at a time.

    `on_stored` hears what each commit to a raw table has stored, as `DeltaSink`'s does.
    """

    def __init__(self, delta: DeltaSink, on_stored: OnMessages | None = None) -> None:
        self._delta = delta
        self._on_stored = on_stored
        self._since_clean = 0

    def take_over(
        self,
        wanted: Mapping[Partition, tuple[DataType, Bounds]],
        reread: frozenset[str] = frozenset(),
    ) -> list[Assignment]:
        """Own partitions from now on; return where each is to be read from.

        A partition that was never read begins at its first message. Topics in `reread` begin a
        new generation. Raises `StreamHaltError` when the topic was made anew, or lacks messages
        that were never stored.
        """
        for _ in range(TAKE_OVER_TRIES):
            assignments = [self._assign(part, *wanted[part], reread) for part in sorted(wanted)]
            if not assignments:
                return []
            epoch = 1 + max(self._newest_epoch(assignment) for assignment in assignments)
            assignments = [replace(assignment, epoch=epoch) for assignment in assignments]
            if not self._fence(assignments, {part: bounds for part, (_, bounds) in wanted.items()}):
                continue
            for spec in BESIDE_RAW:
                self._clear(spec, assignments)
            return assignments
        raise FencedError

    def store(
        self, rows: StreamRows, ranges: Sequence[OffsetRange], is_current: Callable[[], bool]
    ) -> None:
        """Store a micro-batch, or find that it is stored already; may be repeated after an error.

        When this returns all of it is on disk, so that offsets may be committed to the broker.
        `is_current` is asked before each commit, on the table as it then stands: whether the rows
        may still be stored. Raises
        `FencedError` when a partition was taken over or the rows are not current; then nothing of
        the batch is in raw that is not in the others.
        """
        day = rows.ingest_date
        if rows.quarantine:
            self._commit(RAW_QUARANTINE, rows.quarantine, day, ranges, rows.name, is_current)
        self._commit(OPS_INGEST_LEDGER, rows.ledger, day, ranges, rows.name, is_current)
        self._delta.sync.logs(spec.path for spec in BESIDE_RAW)
        for data_type in sorted({offset_range.assignment.data_type for offset_range in ranges}):
            tables = {tenant: of for (kind, tenant), of in rows.raw.items() if kind is data_type}
            mine = [
                offset_range
                for offset_range in ranges
                if offset_range.assignment.data_type is data_type
            ]
            self._commit(RAW_TABLES[data_type], tables, day, mine, rows.name, is_current)
            self._delta.sync.logs([RAW_TABLES[data_type].path])
            self._tell(data_type, tables, mine)

    def _tell(
        self,
        data_type: DataType,
        tables: Mapping[str, Sequence[pa.Table]],
        ranges: Sequence[OffsetRange],
    ) -> None:
        if self._on_stored is None:
            return
        self._on_stored(
            StoredMessages(
                data_type,
                [
                    (part.topic, part.number, one.assignment.offset, one.after)
                    for one in ranges
                    for part in [one.assignment.feed.partition]
                ],
                sum(rows.num_rows for parts in tables.values() for rows in parts),
                self._delta.newest_version(RAW_TABLES[data_type]),
            )
        )

    def compact(self, rows: StreamRows) -> None:
        """Merge small files and shorten logs where needed; the batch is stored already."""
        days = [(RAW_TABLES[kind], tenant) for kind, tenant in rows.raw]
        days += [(RAW_QUARANTINE, tenant) for tenant in rows.quarantine]
        days += [(OPS_INGEST_LEDGER, tenant) for tenant in rows.ledger]
        try:
            for spec, tenant in days:
                self._delta.compact(spec, Day(tenant, rows.ingest_date))
            self._since_clean += 1
            if self._since_clean >= CLEAN_EVERY:
                self._since_clean = 0
                for spec in sorted({spec for spec, _ in days}, key=lambda one: one.full_name):
                    self._delta.drop_read_log(spec)
        except Exception as error:  # noqa: BLE001 - a later batch tries again
            _log.warning("small files were not merged: %s", type(error).__qualname__)

    def refresh(self, assignments: Sequence[Assignment]) -> None:
        """Write the offsets of idle feeds again: transactions are dropped after 30 days."""
        for data_type in sorted({assignment.data_type for assignment in assignments}):
            ranges = [OffsetRange(c, c.offset) for c in assignments if c.data_type is data_type]
            self._delta.commit_checked(
                RAW_TABLES[data_type], (), _transactions(ranges), partial(_is_owned, ranges=ranges)
            )

    def _assign(
        self, part: Partition, data_type: DataType, bounds: Bounds, reread: frozenset[str]
    ) -> Assignment:
        return self._delta.ask(
            RAW_TABLES[data_type], lambda raw: self._claim_of(raw, part, data_type, bounds, reread)
        )

    def _claim_of(
        self,
        raw: DeltaTable,
        part: Partition,
        data_type: DataType,
        bounds: Bounds,
        reread: frozenset[str],
    ) -> Assignment:
        generation = raw.transaction_version(part.generation_id) or 0
        if part.topic in reread and raw.transaction_version(part.offset_id(generation)) is not None:
            return Assignment(Feed(part, generation + 1), data_type, 0, bounds.first)
        feed = Feed(part, generation)
        offset = raw.transaction_version(feed.offset_id)
        if offset is None:
            return Assignment(feed, data_type, 0, bounds.first)
        _check_bounds(part, offset, raw.transaction_version(part.topic_id), bounds)
        return Assignment(feed, data_type, 0, offset)

    def _newest_epoch(self, assignment: Assignment) -> int:
        specs = (RAW_TABLES[assignment.data_type], *BESIDE_RAW)
        owner = assignment.feed.partition.owner_id
        return max(self._delta.state(spec, owner) or 0 for spec in specs)

    def _fence(self, assignments: Sequence[Assignment], bounds: Mapping[Partition, Bounds]) -> bool:
        """Put the new number into every table, raw last; False when somebody was faster."""
        owners = {
            assignment.feed.partition.owner_id: assignment.epoch for assignment in assignments
        }
        for spec in BESIDE_RAW:
            if not self._delta.commit_checked(
                spec, (), owners, partial(_is_newer, assignments=assignments)
            ):
                return False
        for data_type in sorted({assignment.data_type for assignment in assignments}):
            mine = [assignment for assignment in assignments if assignment.data_type is data_type]
            transactions: dict[str, int] = {}
            for assignment in mine:
                part = assignment.feed.partition
                transactions[part.owner_id] = assignment.epoch
                transactions[part.generation_id] = assignment.feed.generation
                transactions[part.topic_id] = bounds[part].topic_number
                transactions[assignment.feed.offset_id] = assignment.offset

            def may_take(table: DeltaTable, mine: Sequence[Assignment] = mine) -> bool:
                # the offset is written as it was read: nobody may have moved it since
                return _is_newer(table, mine) and all(
                    table.transaction_version(c.feed.offset_id) in (None, c.offset) for c in mine
                )

            if not self._delta.commit_checked(RAW_TABLES[data_type], (), transactions, may_take):
                return False
        return True

    def _clear(self, spec: TableSpec, assignments: Sequence[Assignment]) -> None:
        """Remove what earlier owners put beside raw and did not store."""
        ahead = [
            assignment
            for assignment in assignments
            if (self._delta.state(spec, assignment.feed.offset_id) or 0) > assignment.offset
        ]
        for assignment in ahead:
            of_batch = "" if spec is RAW_QUARANTINE else " and replay = 0"
            self._delta.delete(spec, f"{assignment.feed.not_before(assignment.offset)}{of_batch}")
        if ahead:
            ranges = [OffsetRange(assignment, assignment.offset) for assignment in ahead]
            done = self._delta.commit_checked(
                spec, (), _transactions(ranges), partial(_has_owner, ranges=ranges)
            )
            if not done:
                raise FencedError

    def _commit(
        self,
        spec: TableSpec,
        tables: Mapping[str, Sequence[pa.Table]],
        day: str,
        ranges: Sequence[OffsetRange],
        name: str,
        is_current: Callable[[], bool],
    ) -> None:
        files = [
            file
            for tenant, parts in tables.items()
            for file in self._stage(spec, tenant, day, parts, name)
        ]
        self._delta.sync.data_files((spec.path, file.path) for file in files)
        follows = _may_follow if spec in BESIDE_RAW else _is_owned

        def check(table: DeltaTable) -> bool:
            if not is_current():
                # Files of an attempt whose answer was lost may be among these: they stay.
                raise FencedError("somebody was erased while the messages were read")
            return follows(table, ranges)

        if not self._delta.commit_checked(spec, files, _transactions(ranges), check):
            if self._delta.ask(spec, lambda table: _is_done(table, ranges)):
                return  # by an earlier attempt, of which the answer was lost
            # The files stay: an attempt of which the answer was lost may have committed them.
            raise FencedError

    def _stage(
        self, spec: TableSpec, tenant: str, day: str, parts: Sequence[pa.Table], name: str
    ) -> tuple[StagedFile, ...]:
        staged = self._delta.ask(
            spec, lambda table: StagedRows(table, spec, tenant, day, name), is_newest=False
        )
        try:
            for rows in parts:
                staged.write(rows)
            return staged.finish()
        except BaseException:
            staged.discard()
            raise


def _is_newer(table: DeltaTable, assignments: Sequence[Assignment]) -> bool:
    """Whether the take-over's number is newer than every one in the table."""
    return all(
        (table.transaction_version(assignment.feed.partition.owner_id) or 0) < assignment.epoch
        for assignment in assignments
    )


def _transactions(ranges: Sequence[OffsetRange]) -> dict[str, int]:
    found: dict[str, int] = {}
    for offset_range in ranges:
        found[offset_range.assignment.feed.partition.owner_id] = offset_range.assignment.epoch
        found[offset_range.assignment.feed.offset_id] = offset_range.after
    return found


def _has_owner(table: DeltaTable, ranges: Sequence[OffsetRange]) -> bool:
    return all(
        table.transaction_version(offset_range.assignment.feed.partition.owner_id)
        == offset_range.assignment.epoch
        for offset_range in ranges
    )


def _is_owned(table: DeltaTable, ranges: Sequence[OffsetRange]) -> bool:
    """Whether raw's feeds are this process's and stand where the batch begins."""
    return _has_owner(table, ranges) and all(
        table.transaction_version(offset_range.assignment.feed.offset_id)
        == offset_range.assignment.offset
        for offset_range in ranges
    )


def _may_follow(table: DeltaTable, ranges: Sequence[OffsetRange]) -> bool:
    """Whether a table beside raw, which not every batch touches, holds nothing of the batch."""
    return _has_owner(table, ranges) and all(
        (table.transaction_version(offset_range.assignment.feed.offset_id) or 0)
        <= offset_range.assignment.offset
        for offset_range in ranges
    )


def _is_done(table: DeltaTable, ranges: Sequence[OffsetRange]) -> bool:
    return _has_owner(table, ranges) and all(
        table.transaction_version(offset_range.assignment.feed.offset_id) == offset_range.after
        for offset_range in ranges
    )


def _check_bounds(part: Partition, offset: int, topic_number: int | None, bounds: Bounds) -> None:
    anew = topic_number is not None and topic_number != bounds.topic_number
    if anew or offset > bounds.end:
        why = "it was deleted and made anew" if anew else "its messages end before that"
        raise StreamHaltError(
            "topic_recreated",
            f"partition {part.number} of {part.topic} was read up to offset {offset}, but {why}",
            remedy="if that is right, stop the consumers of this lake and read it from its "
            f"beginning: `eta consume --reread {part.topic}`; events that are known already are "
            "not stored twice",
        )
    if offset < bounds.first:
        raise StreamHaltError(
            "retention_gap",
            f"partition {part.number} of {part.topic} was read up to offset {offset}, but its "
            f"messages begin at {bounds.first}: {bounds.first - offset} were deleted unread",
            remedy="send what is missing again from its source, stop the consumers of this lake "
            "and go on with `eta consume "
            f"--reread {part.topic}`; give the topic a retention that outlasts an outage",
        )
