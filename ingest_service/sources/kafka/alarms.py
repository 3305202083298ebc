"""Why a partition stands still, in words: what is wrong, where, and what to do."""

from dataclasses import dataclass

from kafka import TopicPartition

from ingest_service.sources.kafka.fetching import Unreadable
from ingest_service.sources.kafka.worker import BatchFailedError


@dataclass(frozen=True, slots=True)
class Alarm:
    """Why a partition halts; `name` is stable, `message` says where, `remedy` what to do."""

    name: str
    message: str
    remedy: str
    passes: bool = True
    """Whether it may be over by itself, so that the partition is tried again."""
    retry_seconds: float | None = None
    """After how long it is tried again; None: as set (`ETA_STREAM_HALTED_RETRY_SECONDS`)."""


def unreadable(found: Unreadable) -> Alarm:
    """Messages that Kafka's client cannot read."""
    place = f"offset {found.first}"
    if found.last is not None and found.last > found.first:
        place = f"offsets {found.first} to {found.last}"
    return Alarm(
        "unreadable_messages",
        f"{_named(found.part)} stands still before {place}: {found.reason}",
        found.remedy,
    )


def failed(part: TopicPartition, offset: int, error: BatchFailedError) -> Alarm:
    """A batch that failed alone, again and again."""
    if error.known is not None:
        what = f"{_named(part)} stands still before offset {offset}: {error.known.message}"
        return Alarm("batch_failed", what, error.known.remedy)
    return Alarm(
        "batch_failed",
        f"{_named(part)} stands still before offset {offset}: {error}",
        "report it with the kind and the place of the error, which the log has; "
        "nothing is lost while the topic keeps its messages",
    )


def truncated(part: TopicPartition, offset: int) -> Alarm:
    """Kafka lost messages that were read: a broker that lagged behind became the leader."""
    return Alarm(
        "topic_truncated",
        f"{_named(part)} was read up to offset {offset}, and Kafka has lost messages before that; "
        "others may stand at their offsets now",
        "stop the consumers of this lake and go on with "
        f"`eta consume --reread {part.topic}`; events that are known are not stored twice",
        passes=False,
    )


def registry_away(part: TopicPartition, offset: int, retry_seconds: float) -> Alarm:
    """Avro messages whose schema cannot be asked for now."""
    return Alarm(
        "registry_away",
        f"{_named(part)} waits before offset {offset}: the schema registry does not answer; "
        "messages stay in the topic",
        "start the schema registry, or look at ETA_STREAM_REGISTRY_URL; it goes on by itself",
        retry_seconds=retry_seconds,
    )


def missing(topic: str) -> Alarm:
    """A topic that does not exist."""
    return Alarm(
        "topic_missing",
        f"the topic {topic} does not exist",
        "make it as `deploy/kafka.yaml` does; it is read as soon as it is there",
    )


def _named(part: TopicPartition) -> str:
    return f"partition {part.partition} of {part.topic}"
