"""What became of a tenant's batches, asked over HTTP."""

import re
import time

import httpx

from tests.support.rows import interactions_csv
from tests.support.service import METRICS_TOKEN, RunningService


def get(service: RunningService, tenant: str, key: str, **params: str | int) -> httpx.Response:
    """Ask for a page of batches."""
    return httpx.get(
        f"{service.base_url}/v1/tenants/{tenant}/ingest/batches",
        params=params,
        headers={"Authorization": f"Bearer {key}"},
    )


def test_pages_of_batches_with_their_counts(service: RunningService) -> None:
    key = service.add_tenant("ledger")
    sent = [service.upload("ledger", interactions_csv(30, first=n * 10)).json() for n in range(3)]
    first = get(service, "ledger", key, limit=2).json()
    second = get(service, "ledger", service.add_key("ledger", "read"), after=first["next"]).json()

    assert second["next"] is None
    told = [*first["batches"], *second["batches"]]
    assert [batch["batch_id"] for batch in told] == [s["batch_id"] for s in reversed(sent)]
    assert [(b["received"], b["stored"], b["duplicate"]) for b in told] == [
        (30, 10, 20),
        (30, 10, 20),
        (30, 30, 0),
    ]


def test_ledger_is_the_tenants_own(service: RunningService) -> None:
    key = service.add_tenant("nosy")
    other = get(service, "acme", key)
    admin = get(service, "acme", service.add_key("acme", "admin"))
    wrong = get(service, "nosy", key, after="?")

    assert (other.status_code, other.json()["code"]) == (403, "wrong_tenant")
    assert (admin.status_code, admin.json()["code"]) == (403, "missing_scope")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "bad_cursor")
    assert get(service, "nosy", key).json() == {"batches": [], "next": None}


def test_metric_tells_that_the_ledger_adds_up(service: RunningService) -> None:
    deadline = time.monotonic() + 20
    checked = 0.0
    while not checked:
        assert time.monotonic() < deadline
        text = httpx.get(
            f"{service.base_url}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}
        ).text
        (value,) = re.findall(r"^eta_ledger_checked_timestamp_seconds (\S+)$", text, re.M)
        checked = float(value)
        time.sleep(0.05)

    assert "eta_ledger_wrong_batches 0.0" in text
