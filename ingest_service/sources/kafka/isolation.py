"""Finds the messages that make reading a micro-batch fail, so that the others can be stored.

An error that nobody foresaw must not hold back other messages. The batch's parts are halved
until the messages are found; they go to quarantine as `unreadable_message`, with their bytes.
"""

import logging
from collections.abc import Sequence
from typing import Any, Final

from ingest_service.readers.messages import Position
from ingest_service.readers.registries import RegistryAwayError
from ingest_service.sources.kafka.intake import Intake, Prepared
from ingest_service.sources.kafka.positions import PartitionBatch
from ingest_service.sources.kafka.wait import AWAY
from lakehouse.contracts.avro_frames import is_framed

_log = logging.getLogger(__name__)

MOST: Final = 16
"""More such messages than this in one batch are a fault of the program, not of the messages."""


def prepare_apart(intake: Intake, batch: Sequence[PartitionBatch]) -> Prepared:
    """Return the batch ready to be stored, with messages that cannot be read quarantined.

    Raises what `Intake.prepare` does: of `AWAY` at once, of other errors when it is not a few
    messages that cause them.
    """
    try:
        return intake.prepare(batch)
    except AWAY:
        raise
    except Exception as error:
        poison: set[Position] = set()
        for number, part in enumerate(batch):
            poison |= {Position(number, offset) for offset in _offsets(intake, part)}
            if len(poison) > MOST:
                raise
        if poison:
            places = ", ".join(_named(batch[one.part], one.offset) for one in _sorted(poison))
            _log.error("%s while reading, quarantined: %s", type(error).__qualname__, places)
        return intake.prepare(batch, frozenset(poison))


def split_by_registry(
    intake: Intake, batch: Sequence[PartitionBatch]
) -> tuple[list[PartitionBatch], list[PartitionBatch]]:
    """Return the parts that can be prepared without the registry, and those that wait for it.

    When the registry is back already, none waits.
    """
    ready: list[PartitionBatch] = []
    waiting: list[PartitionBatch] = []
    for part in batch:
        has_avro = any(is_framed(record.value or b"") for record in part.records)
        is_away = has_avro and _is_away(intake, part)
        (waiting if is_away else ready).append(part)
    return ready, waiting


def _is_away(intake: Intake, part: PartitionBatch) -> bool:
    try:
        intake.prepare([part]).held.close()
    except RegistryAwayError:
        return True
    except Exception:  # noqa: BLE001 - raised again when the batch is prepared without the others
        return False
    return False


def _sorted(places: set[Position]) -> list[Position]:
    return sorted(places, key=lambda place: (place.part, place.offset))


def _offsets(intake: Intake, part: PartitionBatch) -> list[int]:
    """Return the offsets of the messages that cannot be read, not many more than `MOST`."""
    found: list[int] = []
    waiting = [part.records]
    while waiting:
        records = waiting.pop()
        if not _fails(intake, part, records):
            continue
        if len(records) == 1:
            found.append(records[0].offset)
            if len(found) > MOST:
                return found
            continue
        middle = len(records) // 2
        waiting += [records[middle:], records[:middle]]
    return found


def _fails(intake: Intake, part: PartitionBatch, records: Sequence[Any]) -> bool:
    if not records:
        return False
    try:
        intake.prepare(
            [PartitionBatch(part.assignment, records, records[-1].offset + 1)]
        ).held.close()
    except AWAY:
        raise
    except Exception:  # noqa: BLE001 - the kind was logged with the first
        return True
    return False


def _named(part: PartitionBatch, offset: int) -> str:
    partition = part.assignment.feed.partition
    return f"{partition.topic}/{partition.number} at {offset}"
