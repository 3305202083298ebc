"""Sends events and files to a service in this process, and cuts the power after each answer."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ingest_service.api.app import create_app
from ingest_service.settings import ServiceSettings
from ingest_service.wiring import build_services
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from lakehouse.storage.faults import StorageError
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.tables import ensure_tables
from tests.support.power_cut import Disk, Outcome, copy_of_home, disk_of

TENANT = "acme"
EVENTS = 5


def power_cuts(
    folder: Path,
    answers: int,
    *,
    sync: bool,
    chance: random.Random | None = None,
    on_cut: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Return what a cut after each of so many answers costs: each copy is started and checked."""
    lake = LakeSettings(home=folder / "home", sync=sync)
    ensure_tables(Lake(lake))
    control = ControlDatabase.open(lake.control_url)
    control.tenants.add(TENANT)
    key = control.keys.create(TENANT, {"ingest"}).secret
    control.close()
    found, patch = Outcome(), pytest.MonkeyPatch()
    with disk_of(Path(lake.lake), patch) as disk:
        services = build_services(lake, ServiceSettings())
        with TestClient(create_app(services), headers={"X-API-Key": key}) as client:
            sent = _Sent(client)
            for number in range(answers):
                sent.one(number)
                found.answers += 1
                copy = LakeSettings(home=folder / "copy", sync=sync)
                copy_of_home(disk, folder / "home", folder / "copy", chance)
                _look(copy, sent, found, number)
                on_cut(number)
        found.syncs = disk.syncs
    return found


class _Sent:
    """What was acknowledged: ids of stored events, and how many rows are in quarantine."""

    def __init__(self, client: TestClient) -> None:
        self._client = client
        self.ids: set[str] = set()
        self.quarantined = 0

    def one(self, number: int) -> None:
        """Send events, every third time a file, and take in the answer."""
        names = [f"e{number}-{event}" for event in range(EVENTS)]
        if number % 3 == 2:
            head = "event_id,user_id,item_id,interaction_type,timestamp\n"
            rows = [f"{name},u,i,view,1767225600000\n" for name in names]
            answer = self._client.post(
                f"/internal/data/upload-csv?tenant_id={TENANT}&data_type=interactions",
                content=head + "".join(rows),
                headers={"Content-Type": "text/csv"},
            )
            assert answer.json()["rows_accepted"] == EVENTS, answer.text
        else:
            bad = [_event("bad", user_id="")] if number % 3 == 1 else []
            body = [*map(_event, names), *bad]
            content = json.dumps(body)
            answer = self._client.post(
                "/v1/events", content=content, headers={"Content-Type": "application/json"}
            )
            assert answer.json()["stored"] == EVENTS, answer.text
            self.quarantined += len(bad)
        self.ids.update(names)


def _event(name: str, **other: str) -> dict[str, Any]:
    event = {"user_id": "u", "item_id": "i", "interaction_type": "view"}
    return {"event_id": name, "timestamp": 1_767_225_600_000, **event, **other}


def _look(copy: LakeSettings, sent: _Sent, found: Outcome, number: int) -> None:
    """Start a service on what the cut has left, and compare."""
    services = build_services(copy, ServiceSettings())
    services.start()
    try:
        found.cuts += 1
        check = check_ledger(Lake(copy))
        lost = _lost(copy, sent)
        found.acknowledged = len(sent.ids) + sent.quarantined
        found.lost += lost
        found.cuts_with_loss += lost > 0
        is_reported = not check.is_clean and bool(services.not_ready())  # also before it looked
        if lost and not is_reported:
            found.not_reported += 1
        if not lost and not check.is_clean:
            found.false_alarms += 1
            found.failures.append(f"answer {number}: {check.wrong[:2]} {check.damage[:2]}")
    finally:
        services.stop()
        services.control.close()  # type: ignore[attr-defined]


def _lost(copy: LakeSettings, sent: _Sent) -> int:
    """Return how many acknowledged rows cannot be read."""
    try:
        ids = Lake(copy).intact(RAW_INTERACTIONS).to_pyarrow_table(columns=["event_id"])
        kept = Lake(copy).intact(RAW_QUARANTINE).to_pyarrow_table(columns=["batch_id"]).num_rows
    except (StorageError, OSError):
        return len(sent.ids) + sent.quarantined
    return len(sent.ids - set(ids["event_id"].to_pylist())) + max(0, sent.quarantined - kept)


__all__ = ["Disk", "power_cuts"]
