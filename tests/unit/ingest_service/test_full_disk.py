"""A full or read-only disk is told as what it is, wherever it strikes, and costs one request."""

import errno
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from standardwebhooks.webhooks import Webhook

from ingest_service.api.app import create_app
from ingest_service.settings import ServiceSettings
from ingest_service.sinks import delta
from ingest_service.sources.uploads import spool
from ingest_service.wiring import build_services
from lakehouse.control.database import ControlDatabase, NewSecret
from lakehouse.settings import LakeSettings
from lakehouse.storage import acknowledged, durable, staging
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger

MILLISECONDS = 1_767_225_600_000
HEAD = "event_id,user_id,item_id,interaction_type,timestamp\n"


class Caller:
    """Sends the same three kinds of request as a tenant does, each with an event of its own."""

    def __init__(self, client: TestClient, key: str, source: NewSecret) -> None:
        self.client, self._key, self._source, self._number = client, key, source, 0

    def _name(self) -> str:
        self._number += 1
        return f"e{self._number}"

    def events(self) -> httpx.Response:
        """Send an event."""
        return self._events({})

    def once(self) -> httpx.Response:
        """Send an event under an idempotency key."""
        return self._events({"Idempotency-Key": f"k{self._number}"})

    def upload(self) -> httpx.Response:
        """Send a file."""
        return self.client.post(
            "/internal/data/upload-csv?tenant_id=acme&data_type=interactions",
            content=f"{HEAD}{self._name()},u,i,view,{MILLISECONDS}\n",
            headers={"X-API-Key": self._key, "Content-Type": "text/csv"},
        )

    def webhook(self) -> httpx.Response:
        """Send a signed message."""
        content, now = json.dumps(self._event()), datetime.now(UTC)
        message = f"msg_{self._number}"
        return self.client.post(
            f"/v1/webhooks/{self._source.source_id}",
            content=content,
            headers={
                "Content-Type": "application/json",
                "webhook-id": message,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": Webhook(self._source.secret).sign(message, now, content),
            },
        )

    def _event(self) -> dict[str, Any]:
        event = {"event_id": self._name(), "user_id": "u", "item_id": "i"}
        return {**event, "interaction_type": "view", "timestamp": MILLISECONDS}

    def _events(self, headers: dict[str, str]) -> httpx.Response:
        return self.client.post(
            "/v1/events", json=self._event(), headers={"X-API-Key": self._key, **headers}
        )


def running(lake: LakeSettings) -> Iterator[Caller]:
    """A service in this process."""
    control = ControlDatabase.open(lake.control_url)
    control.tenants.add("acme")
    key = control.keys.create("acme", {"ingest"}).secret
    source = control.webhooks.add(
        "acme", "shop", adapter="generic", data_type="interactions", mapping="contract"
    )
    control.close()
    services = build_services(lake, ServiceSettings())
    with TestClient(create_app(services)) as client:
        yield Caller(client, key, source)


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A service whose disk has room."""
    yield from running(LakeSettings(home=tmp_path_factory.mktemp("home"), sync=True))


PLACES: dict[str, tuple[object, str]] = {
    "a data file": (staging.StagedRows, "write"),
    "a commit": (delta, "commit_files"),
    "a sync": (durable, "_sync"),
    "the acknowledgement": (acknowledged, "_append"),
}
WAYS: dict[str, Callable[[Caller], httpx.Response]] = {
    "events": Caller.events,
    "once": Caller.once,
    "upload": Caller.upload,
    "webhook": Caller.webhook,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk_is_507_and_the_next_request_succeeds(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, place: str, way: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(*PLACES[place], full)
        refused = WAYS[way](caller)
    assert (refused.status_code, refused.json()["code"]) == (507, "storage_full"), refused.text
    assert refused.headers["retry-after"]
    assert WAYS[way](caller).status_code == 200


def test_a_read_only_disk_is_503(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Generic LocalFileSystem error: Read-only file system (os error 30)")

    with monkeypatch.context() as patched:
        patched.setattr(delta, "commit_files", refuse)
        refused = caller.events()
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_read_only")
    assert caller.events().status_code == 200


def test_a_full_spool_is_507(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(spool.SpoolFile, "write", full)
        assert caller.upload().status_code == 507
    assert caller.upload().status_code == 200


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    filler = disk / "filler"
    try:
        lake = LakeSettings(home=tmp_path / "home", lake_uri=str(disk / "lake"))
        for caller in running(lake):
            assert caller.events().status_code == 200
            with suppress(OSError), filler.open("wb") as file:
                while True:
                    file.write(b"x" * 4096)
            refused = caller.events()
            assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
            ready = caller.client.get("/health/ready")
            assert ready.status_code == 503
            codes = {one["code"] for one in ready.json()["problems"]}
            assert codes - {"starting"} == {"storage_full"}  # a busy machine still looks for rows
            filler.unlink()
            assert caller.events().status_code == 200
        assert check_ledger(Lake(lake)).is_clean
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
