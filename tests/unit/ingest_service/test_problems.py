"""Every error is a problem, and none tells more than it should."""

import logging

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ingest_service.api import problems
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.errors import EtaError

SECRET = "user-4711"


@pytest.fixture
def client() -> TestClient:
    """An app whose routes fail in every way."""
    app = FastAPI()
    problems.install(app)

    @app.get("/unexpected")
    def unexpected() -> None:
        raise ValueError(SECRET)

    @app.get("/eta")
    def eta() -> None:
        raise EtaError(f"the database at {SECRET} is away", remedy="start it")

    @app.get("/file")
    def file() -> None:
        raise FileRefusedError(FileFault.RAGGED_ROW, "m", remedy="r", line=7, columns=["a"])

    @app.get("/number/{number}")
    def number(number: int) -> None:
        """Take a number."""

    return TestClient(app)


def test_unexpected_error_is_an_incident_that_the_log_has_too(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.get("/unexpected")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["incident"] in caplog.text
    assert "ValueError" in caplog.text
    for text in (answer.text, caplog.text):
        assert SECRET not in text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        pytest.param("/eta", 503, "unavailable", id="something is away"),
        pytest.param("/file", 400, "ragged_row", id="refused file"),
        pytest.param("/number/x", 422, "invalid_request", id="wrong parameter"),
        pytest.param("/nowhere", 404, "not_found", id="unknown path"),
    ],
)
def test_known_errors(client: TestClient, path: str, status: int, code: str) -> None:
    answer = client.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["remedy"]
    assert SECRET not in answer.text
