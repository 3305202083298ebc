"""The client as a customer gets it: its wheel alone, in an environment that has nothing of ours."""

import json
import os
import subprocess
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_ITEMS
from tests.support.service import RunningService
from tests.support.wheels import built, installed, packages_of

MOST_PACKAGES = 8
NOBODY = "http://127.0.0.1:9"

PROGRAM = """
import importlib, json, pathlib, pkgutil, sys
import eta_client
from eta_client import ClientOptions, EtaClient, FlushTimeoutError

for module in pkgutil.walk_packages(eta_client.__path__, "eta_client."):
    importlib.import_module(module.name)
for name in ("lakehouse", "ingest_service"):
    assert importlib.util.find_spec(name) is None, name

url, nobody, key, spool = sys.argv[1:]
options = ClientOptions(spool=pathlib.Path(spool), flush_seconds=0.02)
offline = EtaClient(nobody, key, options=options)
event_id = offline.track("ann", "sku-77", "click")
offline.upsert_item("sku-77", title="Walking boots")
try:
    offline.flush(0.2)
except FlushTimeoutError as error:
    problem = str(error)
spooled = offline.waiting
offline.close(0)
with EtaClient(url, key, options=options) as client:
    client.flush(60)
    waiting = client.waiting
print(json.dumps([event_id, spooled, waiting, problem, eta_client.__file__]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("eta-client", tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(wheel, "eta-client", tmp_path_factory.mktemp("client"))


def test_the_wheel_is_typed_and_asks_for_httpx_alone(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        headers = Parser().parsestr(archive.read(metadata).decode())
    assert "eta_client/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"eta_client"}
    assert headers.get_all("Requires-Dist") == ["httpx>=0.28"]
    assert headers["License-Expression"] == "Apache-2.0"
    assert "pip install eta-client" in headers.get_payload()


def test_few_small_packages_are_installed(python: Path) -> None:
    names = packages_of(python)
    assert "eta-client" in names
    assert len(names) <= MOST_PACKAGES


def test_an_event_waits_for_the_service_and_is_stored(
    python: Path, service: RunningService, tmp_path: Path
) -> None:
    arguments = (service.base_url, NOBODY, service.keys["acme"], str(tmp_path / "a.spool"))
    done = subprocess.run(
        [python, "-I", "-c", PROGRAM, *arguments],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    event_id, spooled, waiting, problem, imported_from = json.loads(done.stdout)
    assert Path(imported_from).is_relative_to(python.parents[1])
    assert (spooled, waiting) == (2, 0)
    assert "What to do:" in problem
    assert [row["event_id"] for row in service.rows(RAW_INTERACTIONS, "acme")] == [event_id]
    assert [row["title"] for row in service.rows(RAW_ITEMS, "acme")] == ["Walking boots"]
