"""One broker and one registry for all tests of streams; topics are each test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.dev.kafka import start_broker, stop_broker
from lakehouse.dev.registry import start_registry, stop_registry
from lakehouse.dev.servers import Server
from lakehouse.settings import LakeSettings
from tests.support.stream import Lane


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = LakeSettings(home=tmp_path_factory.mktemp("broker"))
    yield start_broker(settings, ())
    stop_broker(settings)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = LakeSettings(home=tmp_path_factory.mktemp("registry"))
    yield start_registry(settings)
    stop_registry(settings)


@pytest.fixture
def lane(broker: Server, tmp_path: Path) -> Iterator[Lane]:
    found = Lane(broker.addresses["bootstrap_servers"], tmp_path / "home")
    yield found
    found.close()


@pytest.fixture
def avro_lane(broker: Server, registry: Server, tmp_path: Path) -> Iterator[Lane]:
    found = Lane(
        broker.addresses["bootstrap_servers"], tmp_path / "home", registry.addresses["url"]
    )
    yield found
    found.close()
