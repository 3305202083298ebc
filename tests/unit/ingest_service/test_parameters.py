"""Parameters that nobody reads are refused before anything is stored."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.contracts.tables import RAW_INTERACTIONS
from tests.support.app import App

ROW = "event_id,user_id,item_id,interaction_type,timestamp\ne1,u,i,view,1767225600000\n"
UPLOAD = "/internal/data/upload-csv?tenant_id=good&data_type=interactions"
EVENT = {"user_id": "u", "item_id": "i", "interaction_type": "view", "timestamp": 1767225600000}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(tmp_path)
    yield made
    made.close()


def post(app: App, url: str, **how: Any) -> httpx.Response:
    async def program(client: httpx.AsyncClient) -> httpx.Response:
        headers = app.headers("good", **how.pop("headers", {}))
        return await client.post(url, headers=headers, **how)

    answer: httpx.Response = app.run(program)
    return answer


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("dryrun=true", "`dry_run` may be meant"),
        ("dry-run=true", "`dry_run` may be meant"),
        ("DRY_RUN=true", "`dry_run` may be meant"),
        ("onerror=quarantine", "`on_error` may be meant"),
        ("dry_run=true&dry_run=false", "send it once"),
        ("data_type=items", "send it once"),
        ("zzz=1", "take it out"),
        ("a%0ab=1", "take it out"),
    ],
)
def test_an_upload_with_a_parameter_that_means_nothing_is_refused(
    app: App, more: str, told: str
) -> None:
    csv = {"content-type": "text/csv"}
    answer = post(app, f"{UPLOAD}&{more}", content=ROW, headers=csv)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
    assert told in answer.json()["remedy"]
    assert app.rows(RAW_INTERACTIONS, "good") == []
    assert post(app, UPLOAD, content=ROW, headers=csv).status_code == 200


def test_an_option_in_the_form_is_refused(app: App) -> None:
    answer = post(app, UPLOAD, files={"file": ("a.csv", ROW), "dry_run": (None, "true")})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_form_part")
    assert "'dry_run'" in answer.json()["detail"]
    assert app.rows(RAW_INTERACTIONS, "good") == []
    assert post(app, UPLOAD, files={"file": ("a.csv", ROW)}).status_code == 200


def test_an_event_with_a_parameter_that_means_nothing_is_refused(app: App) -> None:
    answer = post(app, "/v1/events?maping=default", json=EVENT)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")


def test_probes_may_add_parameters(app: App) -> None:
    async def program(client: httpx.AsyncClient) -> int:
        return (await client.get("/health/live?cache=1")).status_code

    assert app.run(program) == 200
