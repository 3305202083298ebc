"""What is told of rows that came in: from a file, a request or a topic into a raw table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import Final

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tables import RAW_QUARANTINE, RAW_TABLES
from lakehouse.lineage.delivery import Lineage
from lakehouse.lineage.facts import Dataset, Fields, Names, Run, fields_of
from lakehouse.storage.lake import Lake

EVENTS: Final = frozenset({"api", "webhook"})
"""Ways that bring events; the others are formats of files."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch, or the n-th replay of one, that is stored in raw.

    `version` is one of the raw table that has its rows; `received`, `stored` and `quarantined`
    count rows (of a replay as `Counts` has them), `size` are the bytes of its `files` in raw.
    """

    tenant_id: str
    data_type: DataType
    batch_id: str
    replay: int
    source: str
    begun_at: datetime
    received: int
    stored: int
    quarantined: int
    version: int | None
    size: int
    files: int


@dataclass(frozen=True, slots=True)
class StoredMessages:
    """Messages of one data type, of any tenants, that one commit has stored in raw.

    `ranges`: topic, partition, offset of the first message, and the offset after the last.
    """

    data_type: DataType
    ranges: Sequence[tuple[str, int, int, int]]
    stored: int
    version: int | None


OnBatch = Callable[[StoredBatch], None]
OnMessages = Callable[[StoredMessages], None]


class BatchRuns:
    """Makes runs out of what was stored; a raw table's columns are read once per process.

    `broker` is where the topics are, `host:port`.
    """

    def __init__(
        self, names: Names, lake: Lake, broker: Callable[[], str] = lambda: "localhost"
    ) -> None:
        self._names = names
        self._broker = broker
        self._fields: Callable[[str], Fields] = cache(lambda name: fields_of(lake.table(name)))

    def of_batch(self, batch: StoredBatch, ended_at: datetime) -> Run:
        """Return the run of a batch, in its tenant's namespace. No file is named."""
        names, tenant_id = self._names, batch.tenant_id
        kind = batch.data_type.value
        raw = RAW_TABLES[batch.data_type].full_name
        way = batch.source if batch.source in EVENTS else "file"
        came = Dataset(names.of_tenant(tenant_id), f"{way}.{kind}", rows=batch.received)
        if batch.replay:
            way = "replay"
            came = names.table(
                RAW_QUARANTINE.full_name, tenant_id=tenant_id, rows=-batch.quarantined
            )
        outputs = [
            names.table(
                raw,
                batch.version,
                tenant_id=tenant_id,
                fields=self._fields(raw),
                rows=batch.stored,
                size=batch.size,
                files=batch.files,
            )
        ]
        if batch.quarantined and not batch.replay:
            quarantine = RAW_QUARANTINE.full_name
            outputs.append(names.table(quarantine, tenant_id=tenant_id, rows=batch.quarantined))
        tags = {"batch_id": batch.batch_id, "source": batch.source}
        if batch.replay:
            tags["replay"] = str(batch.replay)
        key = f"{batch.batch_id} {batch.replay}"
        return Run(
            names.job(f"ingest.{way}.{kind}", key, tenant_id),
            batch.begun_at,
            ended_at,
            [came],
            outputs,
            tags=tags,
        )

    def of_messages(self, messages: StoredMessages, ended_at: datetime) -> Run:
        """Return the run of a commit from topics, in the lake's namespace: of many tenants."""
        topics: dict[str, list[dict[str, int]]] = {}
        for topic, partition, first, after in messages.ranges:
            offsets = {"partition": partition, "first_offset": first, "after_offset": after}
            topics.setdefault(topic, []).append(offsets)
        namespace = f"kafka://{self._broker().partition(',')[0].strip()}"
        inputs = [
            Dataset(
                namespace,
                topic,
                partitions=offsets,
                rows=sum(one["after_offset"] - one["first_offset"] for one in offsets),
            )
            for topic, offsets in sorted(topics.items())
        ]
        raw = RAW_TABLES[messages.data_type].full_name
        kind = messages.data_type.value
        return Run(
            self._names.job(f"ingest.topic.{kind}", repr(sorted(messages.ranges))),
            ended_at,
            ended_at,
            inputs,
            [
                self._names.table(
                    raw, messages.version, fields=self._fields(raw), rows=messages.stored
                )
            ],
        )


def tell_batches(lineage: Lineage, lake: Lake) -> OnBatch | None:
    """Return what a sink is to call for each stored batch; None when nobody is told."""
    if not lineage.is_on:
        return None
    runs = BatchRuns(lineage.names, lake)

    def on_stored(batch: StoredBatch) -> None:
        lineage.tell(partial(runs.of_batch, batch, datetime.now(UTC)))

    return on_stored


def tell_messages(lineage: Lineage, lake: Lake, broker: Callable[[], str]) -> OnMessages | None:
    """Return what a sink of topics is to call for each commit; None when nobody is told."""
    if not lineage.is_on:
        return None
    runs = BatchRuns(lineage.names, lake, broker)

    def on_stored(messages: StoredMessages) -> None:
        lineage.tell(partial(runs.of_messages, messages, datetime.now(UTC)))

    return on_stored
