"""The service that the pages describe."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ingest_service.api.app import create_app
from ingest_service.settings import ServiceSettings
from ingest_service.wiring import build_services
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.card.kept import keep_card
from lakehouse.training.card.sections import make_card
from tests.support.cards import contents, published
from tests.support.training import examples


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service in a home of its own, with a key of `acme` that may do everything.

    A small training set of `acme` is published, and has a card.
    """
    home = tmp_path_factory.mktemp("home")
    (home / "dbt_project.yml").touch()
    settings = LakeSettings(home=home, project_dir=home, DBT_TARGET_PATH=Path(home / "target"))
    ensure_tables(Lake(settings))
    with closing(ControlDatabase.open(settings.control_url)) as database:
        database.tenants.add("acme")
        secret = database.keys.create("acme", {"admin", "privacy", "read", "ingest"}).secret
    manifest = published(settings, examples(5))
    keep_card(Lake(settings), manifest, make_card(contents(settings, manifest)))
    services = build_services(settings, ServiceSettings())
    with TestClient(create_app(services), headers={"X-API-Key": secret}) as made:
        yield made
    services.control.close()
