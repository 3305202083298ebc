"""A person's export over HTTP: streamed, the tenant's own, for privacy officers alone."""

import io
import json
import zipfile
from urllib.parse import quote

import httpx

from lakehouse.control.database import ControlDatabase
from lakehouse.control.suppressions import subject_hash
from tests.support.service import METRICS_TOKEN, RunningService

USER = "user/1 ?"
ROWS = "user_id,item_id,interaction_type,timestamp\n" + "".join(
    f"{user},{item},click,1735732800000\n" for user, item in ((USER, "i1"), ("bob", "i2"))
)


def test_a_privacy_officer_gets_the_person_s_rows_of_its_own_tenant(
    service: RunningService,
) -> None:
    assert service.upload("acme", ROWS).status_code == 200
    database = ControlDatabase.open(service.lake.control_url)
    database.tenants.add("exporting")
    officer = database.keys.create("acme", {"privacy"})
    admin = database.keys.create("acme", {"admin"}).secret
    other = database.keys.create("exporting", {"privacy"}).secret

    def post(key: str, user: str = USER) -> httpx.Response:
        url = f"{service.base_url}/v1/privacy/exports"
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.post(url, json={"user_id": user}, headers=headers, timeout=60)

    answer = post(officer.secret)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert "content-length" not in answer.headers
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        rows = found.read("interactions/raw_interactions.jsonl").splitlines()
    assert [json.loads(row)["item_id"] for row in rows] == ["i1"]
    with zipfile.ZipFile(io.BytesIO(post(other).content)) as found:
        assert not found.read("interactions/raw_interactions.jsonl")
    for key in (admin, service.keys["acme"]):
        refused = post(key)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")

    # the older way still works, and neither log, metrics nor errors hold the id
    def get(user: str) -> httpx.Response:
        url = f"{service.base_url}/v1/privacy/exports/{quote(user, safe='')}"
        headers = {"Authorization": f"Bearer {officer.secret}"}
        return httpx.get(url, headers=headers, timeout=60)

    assert get(USER).status_code == 200
    too_long = USER * 200
    for refused in (get(too_long), post(officer.secret, too_long)):
        assert refused.status_code == 422
        assert USER not in refused.text
    metrics = httpx.get(
        f"{service.base_url}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}
    ).text
    for text in (service.log, metrics):
        for form in (USER, quote(USER, safe=""), USER.encode().hex(), "user%2F1"):
            assert form not in text

    entries = [e for e in database.audit.list("acme") if e.action == "privacy.export"]
    hash_key = database.suppressed("acme").key
    assert [(e.actor, e.subject) for e in entries] == [
        (f"key:{officer.key_id}", subject_hash(hash_key, USER))
    ] * 2
    assert database.audit.first_broken() is None
    database.close()
