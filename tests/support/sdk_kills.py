"""A program that tracks events while the service is killed again and again."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from eta_client import ClientOptions, EtaClient, Rejected
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_ITEMS
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import LedgerCheck, check_ledger
from tests.support.service import RunningService

TENANT = "sdk"
PAUSE_SECONDS = 0.005
LONGEST_LIFE_SECONDS = 1.5


@dataclass
class SdkDamage:
    """What the kills have cost; `lost`, `twice` and `rejected` must be nothing."""

    kills: int
    tracked: int
    lost: int
    twice: int
    rejected: int
    ledger: LedgerCheck


def sdk_kills(home: Path, kills: int, seed: int) -> SdkDamage:
    """Kill the service so often while a client sends; then count what raw has."""
    moments = random.Random(seed)
    service = RunningService(home)
    key = service.add_tenant(TENANT)
    service.start()
    port = int(service.base_url.rpartition(":")[2])
    told: list[Rejected] = []
    options = ClientOptions(
        spool=home / "sdk.spool", flush_seconds=0.05, first_wait=0.05, timeout=10
    )
    client = EtaClient(service.base_url, key, options=options, on_rejected=told.append)
    ids: list[str] = []
    is_over = threading.Event()

    def program() -> None:
        while not is_over.is_set():
            ids.append(client.track(f"u{len(ids)}", "i", "click"))
            client.upsert_item(f"i{len(ids)}", title="t")
            time.sleep(PAUSE_SECONDS)

    thread = threading.Thread(target=program)
    thread.start()
    try:
        for _ in range(kills):
            time.sleep(moments.uniform(0.1, LONGEST_LIFE_SECONDS))
            service.kill()
            service.start(port)
        is_over.set()
        thread.join()
        client.flush(120)
    finally:
        is_over.set()
        thread.join()
        client.close(0)
        service.stop()
    stored = Counter(row["event_id"] for row in service.rows(RAW_INTERACTIONS, TENANT))
    items = Counter(row["item_id"] for row in service.rows(RAW_ITEMS, TENANT))
    wanted = [f"i{n + 1}" for n in range(len(ids))]
    return SdkDamage(
        kills=kills,
        tracked=2 * len(ids),
        lost=len(set(ids) - set(stored)) + len(set(wanted) - set(items)),
        twice=sum(stored.values()) - len(stored) + sum(items.values()) - len(items),
        rejected=len(told),
        ledger=check_ledger(Lake(service.lake)),
    )
