"""Every error is a problem, and none tells more than it should."""

import errno
import logging
import sqlite3

import pytest
from deltalake.exceptions import DeltaError
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ingest_service.api import problems
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.errors import EtaError
from lakehouse.storage.faults import TableUnavailableError

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

    @app.get("/storage/{name}")
    def storage(name: str) -> None:
        errors: dict[str, Exception] = {
            "handle": DeltaError(SECRET),
            "table": TableUnavailableError(f"damaged: {SECRET}", remedy="repair it"),
            "full": OSError(errno.ENOSPC, SECRET),
            "quota": OSError(errno.EDQUOT, SECRET),
            "delta-full": OSError(f"Generic error {SECRET}: No space left (os error 28)"),
            "read-only": OSError(errno.EROFS, SECRET),
            "other": OSError(errno.EPIPE, SECRET),
        }
        raise errors[name]

    @app.get("/database-full")
    def database_full() -> None:
        with sqlite3.connect(":memory:") as connection:
            connection.execute("pragma page_size = 512")
            connection.execute("pragma max_page_count = 2")
            connection.execute("create table one (text text)")
            try:
                connection.execute("insert into one values (zeroblob(9999))")
            except sqlite3.OperationalError as error:
                raise EtaError("the database does not answer", remedy="wait") from error

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
        pytest.param("/storage/handle", 503, "storage_unavailable", id="broken handle"),
        pytest.param("/storage/table", 503, "storage_unavailable", id="damaged table"),
        pytest.param("/storage/full", 507, "storage_full", id="full disk"),
        pytest.param("/storage/quota", 507, "storage_full", id="quota of the disk"),
        pytest.param("/storage/delta-full", 507, "storage_full", id="full disk, by delta-rs"),
        pytest.param("/storage/read-only", 503, "storage_read_only", id="read-only disk"),
        pytest.param("/storage/other", 500, "internal_error", id="another system error"),
        pytest.param("/database-full", 507, "storage_full", id="full disk of the database"),
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
    assert ("retry-after" in answer.headers) == code.startswith("storage")
