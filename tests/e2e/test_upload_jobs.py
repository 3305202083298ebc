"""Uploads that are left to a job, or cut off and sent again, against the real service."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from tests.support.rows import HEADER, interactions_csv, lines
from tests.support.service import RunningService, spooled_files
from tests.support.upload_jobs import ended, get


def test_upload_that_nobody_waits_for(service: RunningService) -> None:
    service.add_tenant("later")
    outcomes = []
    for body in (interactions_csv(200), lines("u,i,view,never"), HEADER + 'u,"i\n'):
        answer = service.upload("later", body, **{"async": "true"})
        assert answer.status_code == 202
        job = answer.json()
        assert answer.headers["location"] == job["url"]
        done = ended(service, "later", job["url"])
        assert done["batch_id"] == job["batch_id"]
        outcomes.append((done["state"], done["http_status"]))
        last = done["result"]

    assert outcomes == [("succeeded", 200), ("refused", 200), ("refused", 400)]
    assert (last["code"], last["line"]) == ("bad_quote", 2)
    assert len(service.rows(RAW_INTERACTIONS, "later")) == 200
    listed = get(service, "/v1/tenants/later/ingest/uploads", "later").json()["uploads"]
    assert [upload["state"] for upload in listed] == ["refused", "refused", "succeeded"]
    assert spooled_files(service) == []


def test_repeated_asynchronous_request_finds_its_job(service: RunningService) -> None:
    service.add_tenant("once")
    body = interactions_csv(100)
    jobs = [
        service.upload("once", body, idempotency_key="k", **{"async": "true"}) for _ in range(3)
    ]

    assert [job.status_code for job in jobs] == [202] * 3
    assert len({job.json()["job_id"] for job in jobs}) == 1
    done = ended(service, "once", jobs[0].json()["url"])
    assert done["result"]["rows_accepted"] == 100
    assert len(service.rows(OPS_INGEST_LEDGER, "once")) == 1


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_jobs_survive_the_end_of_the_service_and_run_once(tmp_path: Path, how: str) -> None:
    counts = (10_000, 300_000, 10_000)
    running = RunningService(tmp_path, {"ETA_SERVICE_CHUNK_BYTES": "65536"})
    running.add_tenant("acme")
    running.start()
    try:
        jobs = [
            running.upload(
                "acme", interactions_csv(count, user=f"j{n}-"), **{"async": "true"}
            ).json()
            for n, count in enumerate(counts)
        ]
        getattr(running, how)()
        kept = len(spooled_files(running))
        running.start()
        done = [ended(running, "acme", job["url"]) for job in jobs]
        rows = running.rows(RAW_INTERACTIONS, "acme")
        ledger = running.rows(OPS_INGEST_LEDGER, "acme")
        left = spooled_files(running)
    finally:
        running.stop()

    assert kept >= 1
    assert [job["state"] for job in done] == ["succeeded"] * 3
    assert [job["batch_id"] for job in done] == [job["batch_id"] for job in jobs]
    assert len(rows) == len({row["event_id"] for row in rows}) == sum(counts)
    assert {row["batch_id"] for row in rows} == {job["batch_id"] for job in jobs}
    assert sorted(entry["stored"] for entry in ledger) == sorted(counts)
    assert left == []


@pytest.mark.parametrize("delay", [0.15, 0.5])
def test_killed_under_a_key_and_sent_again_is_stored_once(tmp_path: Path, delay: float) -> None:
    running = RunningService(tmp_path, {"ETA_SERVICE_CHUNK_BYTES": "65536"})
    running.add_tenant("acme")
    running.start()
    body = interactions_csv(60_000)
    try:
        sender = threading.Thread(target=_send_to_its_death, args=(running, body))
        sender.start()
        time.sleep(delay)
        running.kill()
        sender.join()
        running.start()
        answer = running.upload("acme", body, idempotency_key="k").json()
        again = running.upload("acme", body, idempotency_key="k").json()
        rows = running.rows(RAW_INTERACTIONS, "acme")
        ledger = running.rows(OPS_INGEST_LEDGER, "acme")
    finally:
        running.stop()

    assert (answer["rows_accepted"], answer["duplicates"]) == (60_000, 0)
    assert again == answer
    assert {row["batch_id"] for row in rows} == {answer["batch_id"]}
    assert len(rows) == 60_000
    assert [entry["stored"] for entry in ledger] == [60_000]


def _send_to_its_death(service: RunningService, body: str) -> None:
    with suppress(httpx.HTTPError):
        service.upload("acme", body, idempotency_key="k")
