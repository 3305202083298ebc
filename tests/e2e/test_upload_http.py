"""Uploads against the real service, over a real socket, into a real lake."""

from pathlib import Path

import httpx
import pytest

from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    RAW_INTERACTIONS,
    RAW_ITEMS,
    RAW_QUARANTINE,
)
from lakehouse.contracts.tenant import SourceMapping, TenantSettings, TimestampFormat
from tests.support.movielens import MOVIELENS
from tests.support.rows import HEADER, interactions_csv, lines
from tests.support.service import METRICS_TOKEN, RunningService


def test_good_file_is_stored_with_its_provenance(service: RunningService) -> None:
    service.add_tenant("stored")
    answer = service.upload("stored", interactions_csv(120))

    assert answer.status_code == 200
    result = answer.json()
    batch_id, job_id = result.pop("batch_id"), result.pop("job_id")
    assert job_id
    assert result == {
        "status": "success",
        "dry_run": False,
        "row_issues_url": None,
        "findings_url": None,
        "rows_received": 120,
        "rows_accepted": 120,
        "duplicates": 0,
        "repeated_in_file": 0,
        "quarantined": 0,
        "suppressed": 0,
        "skipped": 0,
        "error_count": 0,
        "errors_by_code": {},
        "errors": [],
        "warning_count": 0,
        "warnings_by_code": {},
        "warnings": [],
        "file": {
            "encoding": "utf-8",
            "encoding_confidence": 1.0,
            "encoding_from": "detected",
            "delimiter": ",",
            "delimiter_confidence": 1.0,
            "delimiter_from": "detected",
            "format": "csv",
            "sheet": None,
        },
        "s3_path": f"{service.lake.lake}/raw/interactions",
    }
    rows = service.rows(RAW_INTERACTIONS, "stored")
    assert len(rows) == 120
    assert {row["batch_id"] for row in rows} == {batch_id}
    assert sorted(row["source_ref"] for row in rows)[:2] == ["line:0000000002", "line:0000000003"]
    assert {row["source"] for row in rows} == {"csv"}
    assert len({row["known_at"] for row in rows}) == 1
    (entry,) = service.rows(OPS_INGEST_LEDGER, "stored")
    assert (entry["received"], entry["stored"], entry["batch_id"]) == (120, 120, batch_id)


def test_same_file_again_is_only_duplicates(service: RunningService) -> None:
    service.add_tenant("again")
    service.upload("again", interactions_csv(80))
    answer = service.upload("again", interactions_csv(80)).json()

    assert (answer["rows_accepted"], answer["duplicates"]) == (0, 80)
    assert len(service.rows(RAW_INTERACTIONS, "again")) == 80
    assert sorted(e["stored"] for e in service.rows(OPS_INGEST_LEDGER, "again")) == [0, 80]


def test_duplicates_are_found_after_a_restart(tmp_path: Path) -> None:
    running = RunningService(tmp_path)
    running.add_tenant("acme")
    running.start()
    try:
        running.upload("acme", interactions_csv(80))
        running.stop()
        running.start()
        answer = running.upload("acme", interactions_csv(100)).json()
    finally:
        running.stop()

    assert (answer["rows_accepted"], answer["duplicates"]) == (20, 80)


def test_one_bad_row_stores_nothing_and_every_reason_is_told(service: RunningService) -> None:
    service.add_tenant("bad")
    body = lines("u1,i1,view,1700000000000", ",i1,stare,soon", '"u\n3",i3,view,1')
    answer = service.upload("bad", body)

    assert answer.status_code == 200
    result = answer.json()
    assert result["status"] == "validation_failed"
    assert [(e["line"], e["column"], e["code"]) for e in result["errors"]] == [
        (3, "user_id", "missing_value"),
        (3, "interaction_type", "unknown_interaction_type"),
        (3, "timestamp", "bad_timestamp"),
        (4, "timestamp", "timestamp_out_of_range"),
    ]
    assert (result["rows_received"], result["rows_rejected"], result["error_count"]) == (3, 2, 4)
    for spec in (RAW_INTERACTIONS, RAW_QUARANTINE, OPS_INGEST_LEDGER):
        assert service.rows(spec, "bad") == []


def test_quarantine_takes_the_good_rows_and_the_ledger_adds_up(service: RunningService) -> None:
    service.add_tenant("apart")
    body = lines("u1,i1,view,1700000000000", ",i1,stare,soon", "u2,i1,view,1700000000000")
    result = service.upload("apart", body, on_error="quarantine").json()

    assert (result["status"], result["rows_accepted"], result["quarantined"]) == ("success", 2, 1)
    assert result["errors_by_code"] == {
        "missing_value": 1,
        "unknown_interaction_type": 1,
        "bad_timestamp": 1,
    }
    (kept,) = service.rows(RAW_QUARANTINE, "apart")
    assert (kept["raw"], kept["source_ref"]) == (b",i1,stare,soon", "line:0000000003")
    assert len(kept["reasons"]) == 3
    (entry,) = service.rows(OPS_INGEST_LEDGER, "apart")
    assert (entry["received"], entry["stored"], entry["quarantined"]) == (3, 2, 1)
    assert len(service.rows(RAW_INTERACTIONS, "apart")) == 2


def test_errors_of_a_large_bad_file_are_counted_and_the_first_kept(service: RunningService) -> None:
    service.add_tenant("many")
    body = HEADER + "".join(f"u{n},i1,view,never\n" for n in range(5_000))
    result = service.upload("many", body).json()

    assert (result["error_count"], result["errors_by_code"]) == (5_000, {"bad_timestamp": 5_000})
    assert [error["line"] for error in result["errors"]] == list(range(2, 1_002))


def test_missing_columns_are_named(service: RunningService) -> None:
    answer = service.upload("acme", "user_id,when\nu1,1\n")

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    result = answer.json()
    assert result["code"] == "missing_columns"
    assert result["columns"] == ["item_id", "interaction_type", "timestamp"]


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        pytest.param(b"", "empty_file", 1, id="empty file"),
        pytest.param(HEADER, "no_rows", 1, id="header only"),
        pytest.param(HEADER.encode() + b"\xff\xff,i,view,1\n", "not_utf8", 2, id="no UTF-8"),
        pytest.param(HEADER + "u\0,i,view,1\n", "nul_byte", 2, id="NUL"),
        pytest.param(lines('u,"i" x,view,1'), "bad_quote", 2, id="text after a quote"),
        pytest.param(lines('u,"i,view,1'), "bad_quote", 2, id="quote never closed"),
        pytest.param("user_id,user_id\na,b\n", "duplicate_header", 1, id="duplicate header"),
    ],
)
def test_damaged_file_is_refused_with_its_line(
    service: RunningService, body: bytes | str, code: str, line: int | None
) -> None:
    answer = service.upload("acme", body)

    assert answer.status_code == 400, answer.text
    assert (answer.json()["code"], answer.json()["line"]) == (code, line)
    assert service.rows(RAW_INTERACTIONS, "acme") == []


def test_ragged_rows_are_listed_with_their_lines(service: RunningService) -> None:
    body = lines('"a\nb",i,view,1700000000000', "u,i,view,1,2", "u,i,view")
    result = service.upload("acme", body).json()
    assert (result["status"], result["rows_rejected"]) == ("validation_failed", 2)
    assert [(e["line"], e["code"]) for e in result["errors"]] == [
        (4, "ragged_row"),
        (5, "ragged_row"),
    ]
    kept = service.upload("acme", body.replace("1700000000000", ""), on_error="quarantine").json()
    assert (kept["status"], kept["quarantined"]) == ("all_rejected", 3)


def test_changed_event_of_a_known_id_goes_to_quarantine(service: RunningService) -> None:
    service.add_tenant("conflict")
    header = "event_id," + HEADER
    service.upload("conflict", lines("e1,u1,i1,view,1700000000000", header=header))
    body = lines("e1,u1,i1,like,1700000000000", "e2,u1,i2,view,1700000000000", header=header)
    result = service.upload("conflict", body).json()

    assert (result["rows_accepted"], result["quarantined"]) == (1, 1)
    (kept,) = service.rows(RAW_QUARANTINE, "conflict")
    assert kept["raw"] == b"e1,u1,i1,like,1700000000000"
    assert kept["reasons"][0]["code"] == "conflicting_event"
    assert kept["source_ref"] == "line:0000000002"


def test_catalogue_states_without_updated_at_are_kept_when_they_change(
    service: RunningService,
) -> None:
    service.add_tenant("catalogue")
    stored = []
    for price in ("1.00", "1.00", "2.00", "1.00"):
        body = f"item_id,title,price\ni1,Tea,{price}\ni2,Cup,5\n"
        answer = service.upload("catalogue", body, data_type="items").json()
        stored.append(answer["rows_accepted"])

    assert stored == [2, 0, 1, 1]
    history = sorted(
        (row["updated_at"], str(row["price"]))
        for row in service.rows(RAW_ITEMS, "catalogue")
        if row["item_id"] == "i1"
    )
    assert [price for _, price in history] == ["1.0000", "2.0000", "1.0000"]


def test_keys_open_only_their_own_tenant(service: RunningService) -> None:
    service.add_tenant("other")
    url = f"{service.base_url}/internal/data/upload-csv"
    params = {"tenant_id": "acme", "data_type": "interactions"}
    files = {"file": b"x"}

    def status(headers: dict[str, str]) -> int:
        return httpx.post(url, params=params, files=files, headers=headers).status_code

    assert status({}) == 401
    assert status({"X-API-Key": "eta_nobody_" + "x" * 43}) == 401
    assert status({"Authorization": "Basic abc"}) == 401
    assert status({"X-API-Key": service.keys["other"]}) == 403
    assert status({"X-API-Key": service.add_key("acme", "read", "admin")}) == 403
    assert status({"X-API-Key": service.keys["acme"]}) == 400
    assert status({"Authorization": f"bearer {service.keys['acme']}"}) == 400


def test_without_a_key_nothing_but_health_and_the_description_answers(
    service: RunningService,
) -> None:
    description = httpx.get(f"{service.base_url}/openapi.json").json()
    for path, methods in description["paths"].items():
        for method in methods:
            answer = httpx.request(method, service.base_url + path)
            # the page is the same for everybody: what it shows it asks for with a key
            is_open = path.startswith(("/health/", "/dashboard", "/upload"))
            expected = 200 if is_open else 401
            if path == "/v1/webhooks/{source}":
                expected = 404  # a signature is its key, and there is no such source
            assert answer.status_code == expected, (method, path)
            assert "acme" not in answer.text, (method, path)


def test_metrics_are_the_operators(service: RunningService) -> None:
    url = f"{service.base_url}/metrics"
    assert httpx.get(url, headers={"X-API-Key": service.keys["acme"]}).status_code == 401
    answer = httpx.get(url, headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    assert answer.status_code == 200
    assert "eta_ingest_rows_total" in answer.text
    assert "acme" not in answer.text


def test_unexpected_error_is_an_incident_without_a_trace(tmp_path: Path) -> None:
    running = RunningService(tmp_path)
    running.add_tenant("acme")
    running.start()
    try:
        log = Path(running.lake.lake) / "ops" / "ingest_ledger" / "_delta_log"
        log.rename(log.with_name("gone"))
        answer = running.upload("acme", interactions_csv(10))
        log.with_name("gone").rename(log)
        corrected = running.upload("acme", interactions_csv(10)).json()
    finally:
        running.stop()

    assert answer.status_code in (500, 503)
    assert "Traceback" not in answer.text
    assert corrected["rows_accepted"] == 10


def test_movielens_needs_no_editing(service: RunningService, real_data: Path) -> None:
    service.add_tenant("movielens", MOVIELENS)
    body = (real_data / "ml-100k" / "ml-100k.inter").read_bytes()
    first = service.upload("movielens", body, mapping="movielens").json()
    second = service.upload("movielens", body, mapping="movielens").json()

    assert (first["rows_accepted"], first["duplicates"]) == (100_000, 0)
    assert (second["rows_accepted"], second["duplicates"]) == (0, 100_000)
    unknown = service.upload("movielens", body, mapping="nothing")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "unknown_mapping")


def test_encoding_and_delimiter_may_be_given_or_found_out(service: RunningService) -> None:
    service.add_tenant("words")
    body = (HEADER.replace(",", "\t") + "Grüße aus München\ti1\tview\t1700000000000\n").encode(
        "cp1252"
    )
    given = service.upload("words", body, encoding="cp1252", delimiter="tab").json()
    found = service.upload("words", body).json()

    assert (given["rows_accepted"], found["duplicates"]) == (1, 1)
    assert given["file"]["encoding_from"] == given["file"]["delimiter_from"] == "given"
    assert given["warnings"] == []
    assert found["warnings_by_code"] == {"detected_encoding": 1, "detected_delimiter": 1}
    assert 0.5 < found["file"]["encoding_confidence"] < 1
    refused = service.upload("words", body, encoding="klingon")
    assert (refused.status_code, refused.json()["code"]) == (400, "unknown_encoding")


def test_mapping_of_constants_and_formats(service: RunningService) -> None:
    mapping = SourceMapping(
        columns={"user_id": "Kunde", "item_id": "Artikel", "timestamp": "Zeit"},
        constants={"interaction_type": "purchase", "device_type": "till"},
        timestamps={"timestamp": TimestampFormat(format="%d.%m.%Y %H:%M")},
        delimiter=";",
    )
    service.add_tenant("till", TenantSettings(sources={"default": mapping}))
    answer = service.upload("till", "Kunde;Artikel;Zeit\nk1;a1;24.12.2024 18:30\n")

    assert answer.json()["rows_accepted"] == 1
    (row,) = service.rows(RAW_INTERACTIONS, "till")
    assert row["event_time"].isoformat() == "2024-12-24T18:30:00+00:00"
    assert row["interaction_type"] == "purchase"
    assert row["context"] == {"device_type": "till", "location": None, "session_id": None}
