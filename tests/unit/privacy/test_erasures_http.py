"""Erasures over HTTP: asked for, seen, and nobody else's."""

from pathlib import Path

from fastapi.testclient import TestClient

from ingest_service.api.app import create_app
from lakehouse.contracts.tenant import SourceMapping
from tests.support.erasure import TENANT, ErasableLake, interactions, person


def test_an_erasure_is_asked_for_and_seen_by_its_tenant_alone(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    lake = ErasableLake(tmp_path / "home", tmp_path / "project")
    gone = person()
    lake.database.tenants.add("other")
    keys = {
        name: {"X-API-Key": lake.database.keys.create(tenant, {scope}).secret}
        for name, tenant, scope in (
            ("officer", TENANT, "privacy"),
            ("admin", TENANT, "admin"),
            ("reader", TENANT, "read"),
            ("stranger", "other", "privacy"),
        )
    }
    with TestClient(create_app(lake.services)) as client:
        wanted = {"subjects": [gone, gone]}
        made = client.post("/v1/privacy/erasures", json=wanted, headers=keys["officer"])
        assert made.status_code == 202, made.text
        assert (made.json()["state"], made.json()["subject_count"]) == ("pending", 1)
        assert gone not in made.text
        assert (made.json()["unknown_count"], made.json()["unknown"]) == (1, [0, 1])
        assert made.json()["mapped_count"] == 0
        place = made.headers["Location"]
        assert client.get(place, headers=keys["stranger"]).status_code == 404
        assert client.get(place, headers=keys["reader"]).status_code == 403
        assert client.get(place, headers=keys["admin"]).status_code == 403
        refused = client.post("/v1/privacy/erasures", json=wanted, headers=keys["admin"])
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
        for body in ({"subjects": []}, {"subjects": [" "]}, {"subjects": ["x"] * 10_001}, {}):
            answer = client.post("/v1/privacy/erasures", json=body, headers=keys["officer"])
            assert answer.status_code == 422, body
        second = client.post(
            "/v1/privacy/erasures", json={"subjects": ["x"]}, headers=keys["officer"]
        )
        withdraw = f"{second.headers['Location']}/withdraw"
        assert client.post(withdraw, headers=keys["stranger"]).status_code == 404
        for who in ("reader", "admin"):
            assert client.post(withdraw, headers=keys[who]).status_code == 403
        assert client.post(withdraw, headers=keys["officer"]).json()["state"] == "withdrawn"
        assert client.post(withdraw, headers=keys["officer"]).status_code == 409
        assert lake.upload(f"user_id,item_id,interaction_type,timestamp\n{gone},i,click,1\n")
        assert lake.search(gone).findings == ()
        lake.work()
        seen = client.get(place, headers=keys["officer"]).json()
        assert (seen["state"], seen["certificate"]) == ("nothing_found", None)
        assert seen["unknown_count"] == 1

        known = person()
        words = SourceMapping(values={"user_id": {known: person()}})
        lake.set_sources(shop=words)
        lake.set_sources()  # what an earlier version said counts too
        assert lake.upload(interactions([(known, 1)]))
        wanted = {"subjects": [gone, known]}
        made = client.post("/v1/privacy/erasures", json=wanted, headers=keys["officer"])
        assert (made.json()["unknown_count"], made.json()["unknown"]) == (1, [0])
        assert made.json()["mapped_count"] == 1
        place = made.headers["Location"]
        lake.work()
        seen = client.get(place, headers=keys["officer"]).json()
        assert seen["state"] == "completed"
        assert seen["certificate"]["searched"]["found"] == 0
    lake.database.close()
