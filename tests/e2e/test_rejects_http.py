"""A file with a mapping of its own, and its rejected rows: counted, handed out, corrected."""

import csv
import io
import json
from typing import Any

import httpx
import pytest

from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from tests.support.service import RunningService

TILL = (
    "Kunde;Artikel;Zeit;Was\n"
    "anne;a1;01.05.2024 10:00;kauf\n"
    "ben;a2;02.05.2024 11:30;kauf\n"
    ";a3;03.05.2024 12:00;kauf\n"
    "carl;a4;gestern;kauf\n"
    "dora;a5;04.05.2031 09:00;kauf\n"
)
MAPPING: dict[str, Any] = {
    "delimiter": ";",
    "columns": {
        "user_id": "Kunde",
        "item_id": "Artikel",
        "timestamp": "Zeit",
        "interaction_type": "Was",
    },
    "values": {"interaction_type": {"kauf": "purchase"}},
    "timestamps": {"timestamp": {"format": "%d.%m.%Y %H:%M", "time_zone": "Europe/Berlin"}},
}


def send(
    service: RunningService, tenant: str, sent: Any, body: str = TILL, **options: str
) -> httpx.Response:
    """Upload a file with a mapping beside it, as a form has it."""
    text = sent if isinstance(sent, str) else json.dumps(sent)
    headers = {"Authorization": f"Bearer {service.keys[tenant]}"}
    if "idempotency_key" in options:
        headers["Idempotency-Key"] = options.pop("idempotency_key")
    return httpx.post(
        f"{service.base_url}/internal/data/upload-csv",
        params={"tenant_id": tenant, "data_type": "interactions", **options},
        headers=headers,
        files={"mapping_settings": (None, text), "file": ("till.csv", body)},
        timeout=120,
    )


def rejects(service: RunningService, tenant: str, path: str = "") -> str:
    """The address of a tenant's rejected rows, and below it."""
    return f"{service.base_url}/v1/tenants/{tenant}/ingest/quarantine{path}"


def own(key: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def till(service: RunningService, request: pytest.FixtureRequest) -> str:
    """A tenant whose settings have no mapping at all."""
    name = request.node.name.replace("_", "-")[5:60].strip("-")
    service.add_tenant(name)
    return name


def test_a_file_is_read_with_the_mapping_that_comes_with_it(
    service: RunningService, till: str
) -> None:
    assert send(service, till, MAPPING).json()["status"] == "validation_failed"
    answer = send(service, till, MAPPING, on_error="quarantine").json()
    assert (answer["rows_accepted"], answer["quarantined"]) == (2, 3)
    stored = service.rows(RAW_INTERACTIONS, till)
    assert {row["user_id"] for row in stored} == {"anne", "ben"}
    assert {row["interaction_type"] for row in stored} == {"purchase"}
    layouts = {row["layout"] for row in service.rows(RAW_QUARANTINE, till)}
    (layout,) = map(SourceLayout.from_text, layouts)
    assert layout.mapping_settings is not None
    assert layout.mapping_settings.columns == MAPPING["columns"]


def test_its_rejected_rows_are_read_alike_and_corrected_ones_land_once(
    service: RunningService, till: str
) -> None:
    batch = send(service, till, MAPPING, on_error="quarantine").json()["batch_id"]
    ingest, reading = service.keys[till], service.add_key(till, "quarantine")
    counted = httpx.get(rejects(service, till), headers=own(ingest)).json()
    assert counted["rows"] == 3
    assert {r["code"]: r["rows"] for r in counted["reasons"]} == {
        "missing_value": 1,
        "bad_timestamp": 1,
        "timestamp_out_of_range": 1,
    }
    assert all(r["meaning"] and r["remedy"] for r in counted["reasons"])
    assert [b["batch_id"] for b in counted["batches"]] == [batch]

    # other settings of the tenant, the mapping of the batch
    control = ControlDatabase.open(service.lake.control_url)
    wide = {"time_range": {"start": "2020-01-01", "end": "2040-01-01"}}
    control.set_tenant_settings(till, TenantSettings.model_validate(wide))
    control.close()
    replayed = httpx.post(rejects(service, till, "/replay"), headers=own(ingest), timeout=60).json()
    assert [(b["tried"], b["stored"], b["still_open"]) for b in replayed["batches"]] == [(3, 1, 2)]

    # a download needs more than the key that sent the rows
    rows = rejects(service, till, "/rows.csv")
    refused = httpx.get(rows, params={"batch_id": batch}, headers=own(ingest))
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert "quarantine" in refused.json()["remedy"]
    answer = httpx.get(rows, params={"batch_id": batch}, headers=own(reading))
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["Artikel"] for row in found] == ["a3", "a4"]
    only = httpx.get(
        rows, params={"batch_id": batch, "code": "bad_timestamp"}, headers=own(reading)
    )
    assert [row["Artikel"] for row in csv.DictReader(io.StringIO(only.text))] == ["a4"]
    control = ControlDatabase.open(service.lake.control_url)
    noted = [e for e in control.audit.list(till, limit=10) if e.action == "quarantine.export"]
    control.close()
    assert [(e.subject, e.actor.partition(":")[0]) for e in noted] == [(batch, "key")] * 2

    found[0]["Kunde"], found[1]["Zeit"] = "emil", "05.05.2024 10:00"
    text = io.StringIO()
    writer = csv.DictWriter(text, found[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    for stored, not_open in ((2, 0), (0, 2)):
        answer = httpx.post(
            rejects(service, till, "/corrections"),
            headers=own(ingest),
            files={"file": ("rejected-rows.csv", text.getvalue())},
            timeout=60,
        )
        told = answer.json()
        assert told["rows_given"] == 2
        assert told["not_open"] == not_open
        assert sum(b["stored"] for b in told["batches"]) == stored
    assert {row["user_id"] for row in service.rows(RAW_INTERACTIONS, till)} == {
        *("anne", "ben", "dora", "emil", "carl")
    }
    assert httpx.get(rejects(service, till), headers=own(ingest)).json()["rows"] == 0
    empty = httpx.get(rows, params={"batch_id": batch}, headers=own(reading))
    assert empty.text == "eta_batch,eta_line,eta_reasons\n"
    assert check_ledger(Lake(service.lake)).wrong == ()


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        pytest.param("{", "not JSON", id="no JSON"),
        pytest.param('{"delimiter": ";", "delimiter": ","}', "twice", id="a name twice"),
        pytest.param({"colums": {}}, "colums", id="an unknown setting"),
        pytest.param({"skip_lines": -1}, "skip_lines", id="a value out of range"),
        pytest.param([], "mapping_settings", id="no object"),
        pytest.param({"values": {"user_id": {"A9": "anne"}}}, "erasure", id="ids of people mapped"),
    ],
)
def test_what_is_no_mapping_is_refused_before_the_file_is_read(
    service: RunningService, mapping: Any, told: str
) -> None:
    answer = send(service, "acme", mapping)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "bad_mapping_settings"
    assert told in answer.json()["detail"]
    assert answer.json()["remedy"]
    assert service.rows(RAW_INTERACTIONS, "acme") == []


def test_a_mapping_is_named_or_sent_once_and_is_small(service: RunningService) -> None:
    both = send(service, "acme", MAPPING, mapping="default")
    assert both.json()["code"] == "bad_mapping_settings"
    large = send(service, "acme", {"columns": {"user_id": "x" * 20_000}})
    assert (large.status_code, large.json()["code"]) == (413, "form_part_too_large")
    headers = own(service.keys["acme"])
    parts = [("mapping_settings", (None, "{}")), ("mapping_settings", (None, "{}"))]
    twice = httpx.post(
        f"{service.base_url}/internal/data/upload-csv",
        params={"tenant_id": "acme", "data_type": "interactions"},
        headers=headers,
        files=[*parts, ("file", ("a.csv", "x"))],
    )
    assert twice.json()["code"] == "malformed_body"
    corrections = httpx.post(
        rejects(service, "acme", "/corrections"),
        headers=headers,
        files=[parts[0], ("file", ("a.csv", "x"))],
    )
    assert corrections.json()["code"] == "unknown_form_part"


def test_a_mapping_is_part_of_what_an_idempotency_key_stands_for(
    service: RunningService, till: str
) -> None:
    options = {"on_error": "quarantine", "idempotency_key": "k1"}
    first, again = (send(service, till, MAPPING, **options) for _ in range(2))
    assert again.json() == first.json()
    other = send(service, till, MAPPING | {"decimal": ","}, **options)
    assert other.json()["code"] == "idempotency_key_reused"


def test_corrections_that_are_none_are_refused_with_their_line(service: RunningService) -> None:
    url, headers = rejects(service, "acme", "/corrections"), own(service.keys["acme"])
    for body, told in (
        ("user_id\nu1\n", "eta_batch"),
        ("eta_batch,eta_line,eta_reasons,a\nb,1,x\n", "line 2"),
        ('eta_batch,eta_line,eta_reasons,a\nb,1,x,"y\n', "line"),
    ):
        answer = httpx.post(url, headers=headers, files={"file": ("rows.csv", body)})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_corrections")
        assert told in answer.json()["detail"]
