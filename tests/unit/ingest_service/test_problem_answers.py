"""An error's class says how the service answers it; one that says nothing is told to nobody."""

from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ingest_service.api.budgets import NoRoomError
from ingest_service.api.problems import ProblemError, install
from ingest_service.metrics import ServiceMetrics
from ingest_service.sources.events.quotas import QuotaError
from ingest_service.sources.events.writer import BehindError
from ingest_service.sources.uploads.spool import SpoolQuotaError
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.control.database import (
    IdempotencyKeyReused,
    JobNotFound,
    TenantNotFound,
    TooManyKeys,
)
from lakehouse.errors import EtaError
from lakehouse.storage.faults import StorageFullError, TableUnavailableError


def answered(error: Exception) -> Any:
    app = FastAPI()
    app.state.services = SimpleNamespace(metrics=ServiceMetrics())
    install(app)

    @app.get("/")
    def fail() -> None:
        raise error

    return TestClient(app, raise_server_exceptions=False).get("/")


@pytest.mark.parametrize(
    ("error", "status", "code", "wait"),
    [
        (TenantNotFound("acme"), 404, "unknown_tenant", None),
        (JobNotFound(), 404, "unknown_job", None),
        (IdempotencyKeyReused(), 422, "idempotency_key_reused", None),
        (TooManyKeys(3), 429, "too_many_idempotency_keys", "3600"),
        (QuotaError("daily_events", "enough for today", 7), 429, "daily_events", "7"),
        (SpoolQuotaError(5), 429, "spool_quota", "60"),
        (BehindError(2), 503, "busy", "2"),
        (NoRoomError(), 503, "busy", "2"),
        (ProblemError(403, "no", "you may not", remedy="ask"), 403, "no", None),
    ],
)
def test_the_class_of_an_error_is_its_answer(
    error: EtaError, status: int, code: str, wait: str | None
) -> None:
    answer = answered(error)
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, wait)
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert (body["detail"], body["remedy"]) == (error.message, error.remedy)
    assert body["type"] == f"urn:eta:problem:{code}"


def test_a_refused_file_says_where(tmp_path: Any) -> None:
    error = FileRefusedError(
        FileFault.MISSING_COLUMNS, "a column is missing", remedy="add it", line=1, columns=["a"]
    )
    body = answered(error).json()
    assert (body["code"], body["line"], body["columns"]) == ("missing_columns", 1, ["a"])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (EtaError("/srv/lake is secret", remedy="ask its owner"), 503, "unavailable"),
        (TableUnavailableError("/srv/lake is secret", remedy="look"), 503, "storage_unavailable"),
        (StorageFullError("/srv/lake is secret", remedy="look"), 507, "storage_full"),
    ],
)
def test_what_is_for_the_operator_is_not_answered(error: EtaError, status: int, code: str) -> None:
    answer = answered(error)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "secret" not in answer.text
