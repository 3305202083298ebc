"""Who may manage keys may not erase people, nor make or take a key that may."""

from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ingest_service.api.app import create_app
from ingest_service.settings import ServiceSettings
from lakehouse.control.database import SCOPES, ScopeNotHeld
from tests.support.erasure import TENANT, ErasableLake


def test_an_administrators_key_comes_by_no_scope_for_people(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    lake = ErasableLake(tmp_path / "home", tmp_path / "project")
    keys = lake.database.keys
    admin = {"X-API-Key": keys.create(TENANT, {"admin"}).secret}
    both = {"X-API-Key": keys.create(TENANT, {"admin", "privacy"}).secret}
    officers = keys.create(TENANT, {"privacy"}).key_id
    here = f"/v1/tenants/{TENANT}/keys"
    with TestClient(create_app(lake.services)) as client:
        before = lake.database.keys.list(TENANT)
        for path, body in (
            (here, {"scopes": ["privacy"]}),
            (here, {"scopes": ["admin", "privacy"]}),
            (f"{here}/{officers}/rotate", {"overlap_hours": 24}),
        ):
            refused = client.post(path, json=body, headers=admin)
            assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope"), path
        after = lake.database.keys.list(TENANT)
        assert [(k.key_id, k.expires_at) for k in after] == [
            (k.key_id, k.expires_at) for k in before
        ]
        others = client.post(here, json={"scopes": ["ingest", "read", "admin"]}, headers=admin)
        assert others.status_code == 201
        for path, body in (
            (here, {"scopes": ["privacy"]}),
            (f"{here}/{officers}/rotate", {}),
        ):
            assert client.post(path, json=body, headers=both).status_code == 201
        assert client.delete(f"{here}/{officers}", headers=admin).status_code == 204
    lake.close()


def test_the_library_hands_on_no_scope_that_is_not_held(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    lake = ErasableLake(tmp_path / "home", tmp_path / "project")
    keys = lake.database.keys
    with pytest.raises(ScopeNotHeld):
        keys.create(TENANT, SCOPES, granted_by={"admin"})
    made = keys.create(TENANT, SCOPES, granted_by=SCOPES)
    with pytest.raises(ScopeNotHeld):
        keys.rotate(made.key_id, timedelta(0), granted_by={"admin"})
    assert keys.rotate(made.key_id, timedelta(0)).key_id
    lake.close()


def test_one_token_for_metrics_and_reports_is_refused() -> None:
    with pytest.raises(ValueError, match="must differ"):
        ServiceSettings(metrics_token="same", operator_token="same")


@pytest.mark.parametrize("token", ["", " "])
def test_an_empty_token_opens_nothing(token: str) -> None:
    settings = ServiceSettings(metrics_token=token, operator_token=token)
    assert (settings.metrics_token, settings.operator_token) == (None, None)
