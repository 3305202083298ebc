"""Uploads that are only tried, packed, repeated or left to a job, against the real service."""

import csv
import gzip
import io
import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import Quotas, TenantSettings
from tests.support.rows import HEADER, interactions_csv, lines
from tests.support.service import METRICS_TOKEN, RunningService, spooled_files

STORED = (RAW_INTERACTIONS, RAW_QUARANTINE, OPS_INGEST_LEDGER)
PACKERS = [
    pytest.param(gzip.compress, "gzip", id="gzip"),
    pytest.param(zstandard.compress, "zstd", id="zstd"),
]


def get(service: RunningService, path: str, tenant: str, **parameters: Any) -> httpx.Response:
    """Ask the service something as a tenant."""
    headers = {"X-API-Key": service.keys[tenant]}
    return httpx.get(service.base_url + path, params=parameters, headers=headers, timeout=30)


def post(
    service: RunningService, tenant: str, body: bytes, headers: dict[str, str], **options: str
) -> httpx.Response:
    """Send a body as it is."""
    return httpx.post(
        f"{service.base_url}/internal/data/upload-csv",
        params={"tenant_id": tenant, "data_type": "interactions", **options},
        headers={"X-API-Key": service.keys[tenant], **headers},
        content=body,
        timeout=60,
    )


def ended(service: RunningService, tenant: str, url: str, seconds: float = 60) -> dict[str, Any]:
    """Ask a job until it has ended."""
    deadline = time.monotonic() + seconds
    while True:
        job: dict[str, Any] = get(service, url, tenant).json()
        if job["finished_at"]:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


TURKISH = (HEADER + "Işıl,i1,view,1767225600000\nŞule,i1,view,1767225600001\n").encode("cp1254")


@pytest.mark.parametrize("is_form", [True, False])
def test_declared_charset_is_used_and_comes_after_what_is_given(
    service: RunningService, is_form: bool
) -> None:
    tenant = f"declared-{is_form}".lower()
    service.add_tenant(tenant)

    def send(declared: str, body: bytes = TURKISH, **options: str) -> httpx.Response:
        if not is_form:
            return post(service, tenant, body, {"Content-Type": declared}, **options)
        return httpx.post(
            f"{service.base_url}/internal/data/upload-csv",
            params={"tenant_id": tenant, "data_type": "interactions", **options},
            headers={"X-API-Key": service.keys[tenant]},
            files={"file": ("clicks.csv", body, declared)},
            timeout=60,
        )

    unsaid = send("text/csv")
    assert (unsaid.status_code, unsaid.json()["code"]) == (400, "not_utf8")
    assert "cp1254" in unsaid.json()["remedy"]

    answer = send('text/csv; header=present; charset="Windows-1254"').json()
    assert (answer["rows_accepted"], answer["warnings"]) == (2, [])
    assert answer["file"]["encoding"] == "cp1254"
    assert answer["file"]["encoding_from"] == "declared"
    assert {row["user_id"] for row in service.rows(RAW_INTERACTIONS, tenant)} == {"Işıl", "Şule"}

    packed = send("text/csv; charset=iso-8859-9", gzip.compress(TURKISH)).json()
    assert packed["duplicates"] == 2
    given = send("text/csv; charset=us-ascii", encoding="cp1254").json()
    assert (given["duplicates"], given["file"]["encoding_from"]) == (2, "given")

    for declared, code in [
        ("text/csv; charset=us-ascii", "undecodable"),
        ("text/csv; charset=utf-8", "not_utf8"),
        ("text/csv; charset=klingon", "unknown_encoding"),
    ]:
        refused = send(declared)
        assert (refused.status_code, refused.json()["code"]) == (400, code), declared
    contradicted = send("text/plain; charset=ISO-8859-1", TURKISH.decode("cp1254").encode())
    assert contradicted.json()["code"] == "unknown_encoding"
    assert "the file is UTF-8" in contradicted.json()["detail"]


def test_dry_run_says_what_would_happen_and_stores_nothing(service: RunningService) -> None:
    service.add_tenant("dry")
    good, bad = lines("u1,i1,view,1700000000000"), lines("u1,i1,view,1700000000000", ",i,view,1")
    tried = service.upload("dry", good, dry_run="true").json()
    refused = service.upload("dry", bad, dry_run="true").json()
    apart = service.upload("dry", bad, dry_run="true", on_error="quarantine").json()

    assert (tried["status"], tried["rows_accepted"], tried["batch_id"]) == ("success", 1, None)
    assert (refused["status"], refused["error_count"]) == ("validation_failed", 2)
    assert (apart["rows_accepted"], apart["quarantined"]) == (1, 1)
    assert all(answer["dry_run"] for answer in (tried, refused, apart))
    assert [service.rows(spec, "dry") for spec in STORED] == [[], [], []]
    really = service.upload("dry", good).json()
    assert (really["rows_accepted"], really["dry_run"]) == (1, False)
    again = service.upload("dry", good, dry_run="true").json()
    assert (again["rows_accepted"], again["duplicates"]) == (0, 1)


@pytest.mark.parametrize(("pack", "coding"), PACKERS)
def test_packed_files_and_bodies_are_unpacked(
    service: RunningService, pack: Any, coding: str
) -> None:
    service.add_tenant(f"packed-{coding}")
    tenant, rows = f"packed-{coding}", interactions_csv(50).encode()
    form = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n%b\r\n--b--\r\n'
    form_type = {"Content-Type": "multipart/form-data; boundary=b"}
    answers = [
        service.upload(tenant, pack(rows)),
        post(service, tenant, rows, {"Content-Type": "text/csv"}),
        post(service, tenant, pack(rows), {"Content-Type": "text/csv", "Content-Encoding": coding}),
        post(service, tenant, pack(form % rows), {**form_type, "Content-Encoding": coding}),
        post(service, tenant, pack(form % pack(rows)), {**form_type, "Content-Encoding": coding}),
    ]

    assert [answer.status_code for answer in answers] == [200] * 5, answers[-1].text
    assert [a.json()["rows_accepted"] for a in answers] == [50, 0, 0, 0, 0]
    assert [a.json()["duplicates"] for a in answers] == [0, 50, 50, 50, 50]


@pytest.mark.parametrize(("pack", "coding"), PACKERS)
def test_what_unpacks_to_too_much_is_stopped_and_leaves_nothing(
    service: RunningService, pack: Any, coding: str
) -> None:
    before = set(spooled_files(service))
    packed = pack(HEADER.encode() + bytes(64 * 1024 * 1024))
    as_body = {"Content-Type": "text/csv", "Content-Encoding": coding}
    for answer in (service.upload("acme", packed), post(service, "acme", packed, as_body)):
        assert (answer.status_code, answer.json()["code"]) == (413, "unpacked_too_large")
    assert set(spooled_files(service)) == before


def test_damaged_and_unknown_packings_are_refused(service: RunningService) -> None:
    packed = gzip.compress(interactions_csv(50).encode())
    answer = service.upload("acme", packed[:-20])
    assert (answer.status_code, answer.json()["code"]) == (400, "damaged_pack")
    for headers in (
        {"Content-Type": "text/csv", "Content-Encoding": "br"},
        {"Content-Type": "image/png"},
        {},
    ):
        answer = post(service, "acme", packed, headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_body")


def test_same_key_and_request_get_the_same_answer_and_no_second_batch(
    service: RunningService,
) -> None:
    for tenant in ("keyed", "other"):
        service.add_tenant(tenant)
    bodies = {"good": interactions_csv(30), "bad": lines(",i,view,1"), "torn": HEADER + "u,i\n"}
    for name, body in bodies.items():
        first, second = (service.upload("keyed", body, idempotency_key=name) for _ in range(2))
        assert (second.status_code, second.json()) == (first.status_code, first.json())
        assert "idempotent-replayed" not in first.headers
        assert second.headers["idempotent-replayed"] == "true"
        assert second.headers["content-type"] == first.headers["content-type"]
    assert len(service.rows(OPS_INGEST_LEDGER, "keyed")) == 1

    packed = service.upload("keyed", gzip.compress(bodies["good"].encode()), idempotency_key="good")
    assert packed.headers["idempotent-replayed"] == "true"
    elsewhere = service.upload("other", bodies["good"], idempotency_key="good").json()
    assert elsewhere["rows_accepted"] == 30
    for reused in (
        service.upload(
            "keyed", bodies["good"] + "u,i,view,1700000000000\n", idempotency_key="good"
        ),
        service.upload("keyed", bodies["good"], idempotency_key="good", on_error="quarantine"),
    ):
        assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    answer = service.upload("keyed", bodies["good"], idempotency_key="ü".encode())
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_idempotency_key")


def test_two_requests_of_one_key_at_once_make_one_batch(service: RunningService) -> None:
    service.add_tenant("twice")
    body, answers = interactions_csv(3_000), []

    def send() -> None:
        answers.append(service.upload("twice", body, idempotency_key="k"))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = [answer.json() for answer in answers if answer.status_code == 200]
    busy = [answer.json()["code"] for answer in answers if answer.status_code == 409]

    assert len(stored) + len(busy) == 4
    assert {answer["batch_id"] for answer in stored} == {stored[0]["batch_id"]}
    assert set(busy) <= {"request_in_progress"}
    assert len(service.rows(OPS_INGEST_LEDGER, "twice")) == 1


def test_every_error_can_be_had_by_page_and_as_a_file(service: RunningService) -> None:
    service.add_tenant("many")
    body = HEADER + "".join(f"u{n} ,i1,view,never\n" for n in range(5_000))
    answer = service.upload("many", body).json()
    url = answer["row_issues_url"]
    pages, offset = [], 0
    while offset is not None:
        page = get(service, url, "many", offset=offset, limit=1_999).json()
        assert page["total"] == 5_000
        pages += page["row_issues"]
        offset = page["next_offset"]

    assert (answer["error_count"], len(answer["errors"])) == (5_000, 1_000)
    assert pages[:1_000] == answer["errors"]
    assert [issue["line"] for issue in pages] == list(range(2, 5_002))
    file = get(service, f"{url}.csv", "many", kind="warnings")
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [int(row["line"]) for row in rows] == list(range(2, 5_002))
    assert {row["code"] for row in rows} == {"surrounding_white_space"}
    old = get(service, answer["findings_url"], "many", limit=1_999).json()
    assert (old["findings"], old["next_offset"]) == (pages[:1_999], 1_999)
    assert get(service, f"{answer['findings_url']}.csv", "many", kind="warnings").text == file.text
    for path in (url, url.removesuffix("/row-issues")):
        assert get(service, path, "acme").status_code == 403
        stolen = path.replace("/many/", "/acme/")
        answer = get(service, stolen, "acme")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_job")


def test_json_files_go_the_same_way(service: RunningService) -> None:
    service.add_tenant("json")
    row = {"user_id": "u1", "item_id": "i1", "interaction_type": "view", "timestamp": 1.7e12}
    lines_of_json = "\n".join(json.dumps(row | {"item_id": f"i{n}"}) for n in range(30))
    first = service.upload("json", gzip.compress(lines_of_json.encode()), path="upload-json")
    rows = [row | {"item_id": f"i{n}"} for n in range(31)]
    second = service.upload("json", json.dumps(rows, indent=1), path="upload-json")
    torn = service.upload("json", "[{},\n{]", path="upload-json", on_error="quarantine")

    assert (first.json()["rows_accepted"], second.json()["rows_accepted"]) == (30, 1)
    assert second.json()["duplicates"] == 30
    assert (torn.status_code, torn.json()["code"], torn.json()["line"]) == (400, "bad_json", 2)
    places = {row["source_ref"] for row in service.rows(RAW_INTERACTIONS, "json")}
    assert "item:0000000031" in places
    assert {row["source"] for row in service.rows(RAW_INTERACTIONS, "json")} == {"json"}


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


def test_memory_does_not_follow_the_file_nor_what_a_bomb_unpacks_to(tmp_path: Path) -> None:
    """The long proof, with 2 GB and 1 GB, is `python -m benchmarks.limits`."""
    settings = {"ETA_SERVICE_DEDUPE_ROWS": "20000", "ETA_SERVICE_CHUNK_BYTES": "1048576"}
    running = RunningService(tmp_path, settings)
    running.add_tenant("acme")
    running.start()
    try:
        running.upload("acme", interactions_csv(200_000))
        small = running.peak_rss_mb
        large = running.upload("acme", interactions_csv(1_500_000, user="v")).json()
        after_large = running.peak_rss_mb
        bomb = running.upload("acme", gzip.compress(bytes(400 * 1024 * 1024), 1))
        after_bomb = running.peak_rss_mb
    finally:
        running.stop()

    assert large["rows_accepted"] == 1_500_000
    assert after_large - small < 120
    assert bomb.status_code == 413
    assert after_bomb - after_large < 40


def test_an_upload_over_its_quota_is_told_when_to_come_again(service: RunningService) -> None:
    quotas = Quotas(upload_bytes_per_day=20_000)
    service.add_tenant("metered", TenantSettings(quotas=quotas))
    small, large = interactions_csv(10), interactions_csv(2_000)
    assert service.upload("metered", small).status_code == 200
    refused = service.upload("metered", large)
    assert (refused.status_code, refused.json()["code"]) == (429, "daily_upload_quota")
    assert 0 < int(refused.headers["Retry-After"]) <= 24 * 3600
    unannounced = httpx.post(
        f"{service.base_url}/internal/data/upload-csv",
        params={"tenant_id": "metered", "data_type": "interactions"},
        headers={"X-API-Key": service.keys["metered"], "Content-Type": "text/csv"},
        content=iter([large.encode()]),
    )
    assert unannounced.status_code == 429
    assert len(service.rows(RAW_INTERACTIONS, "metered")) == 10
    metrics = httpx.get(
        f"{service.base_url}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}
    ).text
    assert 'eta_ingest_over_quota_total{quota="daily_upload_quota"} 2.0' in metrics
