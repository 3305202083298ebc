"""A real Kafka broker for development and tests: one KRaft process, no Docker, no ZooKeeper."""

import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from secrets import token_bytes
from typing import Final

from lakehouse.contracts.topics import TOPICS, Topic
from lakehouse.dev.servers import (
    Server,
    find_server,
    free_port,
    is_listening,
    start_server,
    stop_server,
)
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.spark.bundles import fetch_bundle, java_program

NAME: Final = "kafka"
VERSION: Final = "4.1.0"
HEAP: Final = "-Xmx512m"
FORMAT_SECONDS: Final = 60
BOOTSTRAP: Final = "bootstrap_servers"

_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.retention.check.interval.ms=5000
"""


def fetch_broker(settings: LakeSettings) -> Path:
    """Return the folder of the broker's jars (43 MB), fetched on first use."""

    def arguments(scratch: Path) -> Sequence[str]:
        return (
            *("-confs", "default", "-cache", f"{scratch}/cache"),
            *("-dependency", "org.apache.kafka", "kafka_2.13", VERSION),
            *("-retrieve", f"{scratch}/files/[artifact]-[revision](-[classifier]).[ext]"),
        )

    return fetch_bundle(f"kafka-{VERSION}", "kafka.lock", settings, arguments)


def start_broker(settings: LakeSettings, topics: Iterable[Topic] = TOPICS) -> Server:
    """Start the broker of this home, or find it running; make the topics that are missing.

    It listens on free ports of 127.0.0.1, the same ones again where they are still free; its
    messages stay in the home over a restart.
    """
    folder = settings.dev_dir / NAME
    running = find_server(NAME, folder)
    if running is None:
        running = _start(settings, folder)
    ensure_topics(running.addresses[BOOTSTRAP], topics)
    return running


def stop_broker(settings: LakeSettings) -> bool:
    """End it; return whether it ran. Its data stays."""
    return stop_server(NAME, settings.dev_dir / NAME)


def find_broker(settings: LakeSettings) -> Server | None:
    """Return the broker of this home if it runs."""
    return find_server(NAME, settings.dev_dir / NAME)


def ensure_topics(bootstrap: str, topics: Iterable[Topic]) -> None:
    """Make the topics that the cluster lacks, with their partitions and retention."""
    from kafka import KafkaAdminClient
    from kafka.errors import TopicAlreadyExistsError

    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        present = set(admin.list_topics())
        for topic in topics:
            if topic.name in present:
                continue
            spec = {
                "num_partitions": topic.partitions,
                "replication_factor": 1,
                "configs": topic.config,
            }
            with suppress(TopicAlreadyExistsError):
                admin.create_topics({topic.name: spec}, wait_for_metadata=True)


def topic_sizes(bootstrap: str) -> list[tuple[str, int, int]]:
    """Return name, partitions and messages (those that are kept) of every topic."""
    from kafka import KafkaConsumer, TopicPartition

    with closing(KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)) as consumer:
        found = []
        for topic in sorted(name for name in consumer.topics() if not name.startswith("__")):
            parts = [TopicPartition(topic, part) for part in consumer.partitions_for_topic(topic)]
            first, end = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
            found.append((topic, len(parts), sum(end[part] - first[part] for part in parts)))
        return found


def _start(settings: LakeSettings, folder: Path) -> Server:
    folder.mkdir(parents=True, exist_ok=True)
    classpath = f"{fetch_broker(settings)}/*"
    java = str(java_program(settings))
    properties = _properties(folder)
    bootstrap = f"127.0.0.1:{_value(properties, 'listeners').split(',')[0].rpartition(':')[2]}"
    if not (folder / "data" / "meta.properties").is_file():
        _format(java, classpath, properties)
    command = [java, HEAP, "-cp", classpath, "kafka.Kafka", str(properties)]
    return start_server(
        NAME,
        folder,
        command,
        addresses={BOOTSTRAP: bootstrap},
        is_ready=lambda: _answers(bootstrap),
    )


def _properties(folder: Path) -> Path:
    """Write the configuration; the ports of an earlier start are kept while they are free."""
    path = folder / "server.properties"
    if path.is_file():
        ports = [int(one.rpartition(":")[2]) for one in _value(path, "listeners").split(",")]
        if not any(map(is_listening, ports)):
            return path
    port, controller = free_port(), free_port()
    text = _PROPERTIES.format(port=port, controller=controller, data=folder / "data")
    path.write_text(text, encoding="utf-8")
    return path


def _value(properties: Path, name: str) -> str:
    for line in properties.read_text(encoding="utf-8").splitlines():
        found, _, value = line.partition("=")
        if found == name:
            return value
    raise EtaError(f"{properties} has no {name}", remedy="delete that file and start again")


def _format(java: str, classpath: str, properties: Path) -> None:
    cluster = urlsafe_b64encode(token_bytes(16)).rstrip(b"=").decode().replace("-", "A")
    command = [java, "-cp", classpath, "kafka.tools.StorageTool", "format"]
    done = subprocess.run(
        [*command, "-t", cluster, "-c", str(properties)],
        capture_output=True,
        text=True,
        timeout=FORMAT_SECONDS,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise EtaError(
            f"the broker's data folder could not be made ({said[-1] if said else 'no answer'})",
            remedy=f"see that {properties.parent} can be written",
        )


def _answers(bootstrap: str) -> bool:
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    if not is_listening(int(bootstrap.rpartition(":")[2])):
        return False
    with suppress(KafkaError, OSError):
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=2000)
        with closing(admin):
            return admin.list_topics() is not None
    return False
