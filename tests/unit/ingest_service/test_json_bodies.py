"""JSON bodies and URLs that could be read in two ways are refused before anything is done."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from ingest_service.api.app import create_app
from ingest_service.api.json_body import JsonRoute
from ingest_service.settings import ServiceSettings
from ingest_service.wiring import build_services
from lakehouse.contracts.strict_json import StrictJsonError, plain_value
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

TENANT = "acme"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = tmp_path_factory.mktemp("home")
    (home / "dbt_project.yml").touch()
    settings = LakeSettings(home=home, project_dir=home, DBT_TARGET_PATH=Path(home / "target"))
    ensure_tables(Lake(settings))
    with closing(ControlDatabase.open(settings.control_url)) as database:
        database.tenants.add(TENANT)
        secret = database.keys.create(TENANT, {"admin", "privacy", "read", "ingest"}).secret
    services = build_services(settings, ServiceSettings())
    with TestClient(create_app(services), headers={"X-API-Key": secret}) as made:
        yield made
    services.control.close()


BODIES = {
    "/v1/privacy/erasures": b'{"subjects":["a"],"subjects":["b"]}',
    "/v1/privacy/exports": b'{"user_id":"a","user_id":"b"}',
    f"/v1/tenants/{TENANT}/keys": b'{"scopes":["read"],"scopes":["admin"]}',
    f"/v1/tenants/{TENANT}/keys/k1/rotate": b'{"overlap_hours":1,"overlap_hours":2}',
}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(None, "a name comes twice", id="a name twice"),
        pytest.param(b'{"x":{"y":1,"\\u0079":2}}', "a name comes twice", id="escaped, within"),
        pytest.param(b'{"x":NaN}', "NaN is not a JSON value", id="no number"),
        pytest.param(b'{"x":"\\ud800"}', "half a surrogate", id="half a character"),
        pytest.param('{"x":1}'.encode("utf-16"), "not UTF-8", id="UTF-16"),
        pytest.param(b'{"x":' + b"[" * 80 + b"]" * 80 + b"}", "nested", id="depth"),
        pytest.param(b'{"x":' + b"9" * 5_000 + b"}", "too many digits", id="digits"),
        pytest.param(b'{"x":1} {"x":2}', "Extra data", id="two values"),
        pytest.param(b"{", "Expecting", id="no JSON"),
    ],
)
def test_a_body_that_is_no_plain_json_is_refused_with_a_sentence(
    client: TestClient, path: str, body: bytes | None, told: str
) -> None:
    answer = client.post(path, content=body or BODIES[path], headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_json"
    assert told in answer.json()["detail"]
    assert answer.json()["remedy"]
    assert not client.app.state.services.control.erasures.newest()  # type: ignore[attr-defined]


def test_every_route_with_a_json_body_reads_it_so(client: TestClient) -> None:
    """A later route cannot forget it: the description names every operation with such a body."""
    described = client.app.openapi()["paths"]  # type: ignore[attr-defined]
    own = (
        "/v1/events",
        "/v1/items",
        "/v1/users",
        "/v1/clickstream",
        "/v1/webhooks/",
        "/internal/data/",
    )
    files = "/quarantine/corrections"
    for path, methods in described.items():
        for method, operation in methods.items():
            if "requestBody" in operation and not path.startswith(own) and not path.endswith(files):
                url = path.replace("{tenant_id}", TENANT).replace("{key_id}", "k1")
                answer = client.request(method, url, content=b'{"x":1,"x":2}', headers=JSON)
                assert answer.json()["code"] == "invalid_json", path
    assert issubclass(JsonRoute, APIRoute)


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        pytest.param("GET", "/v1/privacy/exports/%ff", None, id="a byte of no text"),
        pytest.param("GET", "/v1/privacy/exports/%ed%a0%80", None, id="half a character"),
        pytest.param("GET", "/v1/privacy/exports/a%00b", None, id="NUL"),
        pytest.param(
            "GET", f"/v1/tenants/{TENANT}/ingest/uploads?limit=%ff", None, id="in the query"
        ),
        pytest.param("POST", "/v1/privacy/exports", b'{"user_id":"a\\u0000b"}', id="NUL in JSON"),
        pytest.param("POST", "/v1/privacy/erasures", b'{"subjects":["ok","\\u0000"]}', id="NUL"),
        pytest.param("POST", "/v1/privacy/erasures", b'{"subjects":["a\\u0000b"]}', id="NUL in"),
    ],
)
def test_ids_that_nobody_can_have_are_refused(
    client: TestClient, method: str, url: str, body: bytes | None
) -> None:
    answer = client.request(method, url, content=body, headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]
    assert answer.json()["remedy"]


def test_what_people_send_is_taken(client: TestClient) -> None:
    for user in ("é🎉", "a b;c", "\ufffd"):
        sent = client.post("/v1/privacy/erasures", json={"subjects": [user]})
        assert sent.status_code == 202, sent.text
        assert client.get(f"/v1/privacy/exports/{quote(user)}").status_code == 200
        client.post(f"{sent.headers['Location']}/withdraw")


def test_values_are_pythons_own() -> None:
    assert plain_value(b'{"a":[1,2.5,true,null,"x"]}') == {"a": [1, 2.5, True, None, "x"]}
    with pytest.raises(StrictJsonError, match="twice"):
        plain_value(b'[{"a":1,"a":1}]')
