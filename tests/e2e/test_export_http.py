"""A person's export over HTTP: streamed, the tenant's own, for administrators alone."""

import io
import json
import zipfile
from urllib.parse import quote

import httpx

from lakehouse.control.database import ControlDatabase
from tests.support.service import RunningService

USER = "user/1 ?"
ROWS = "user_id,item_id,interaction_type,timestamp\n" + "".join(
    f"{user},{item},click,1735732800000\n" for user, item in ((USER, "i1"), ("bob", "i2"))
)


def test_an_administrator_gets_the_person_s_rows_of_its_own_tenant(service: RunningService) -> None:
    assert service.upload("acme", ROWS).status_code == 200
    database = ControlDatabase.open(service.lake.control_url)
    database.tenants.add("exporting")
    admin = database.keys.create("acme", {"admin"}).secret
    other = database.keys.create("exporting", {"admin"}).secret
    database.close()

    def get(key: str) -> httpx.Response:
        url = f"{service.base_url}/v1/privacy/exports/{quote(USER, safe='')}"
        return httpx.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=60)

    answer = get(admin)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert "content-length" not in answer.headers
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        rows = found.read("interactions/raw_interactions.jsonl").splitlines()
    assert [json.loads(row)["item_id"] for row in rows] == ["i1"]
    with zipfile.ZipFile(io.BytesIO(get(other).content)) as found:
        assert not found.read("interactions/raw_interactions.jsonl")
    refused = get(service.keys["acme"])
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert USER not in service.log
