"""Asking the service about uploads."""

import time
from typing import Any

import httpx

from tests.support.service import RunningService


def get(service: RunningService, path: str, tenant: str, **parameters: Any) -> httpx.Response:
    """Ask the service something as a tenant."""
    headers = {"X-API-Key": service.keys[tenant]}
    return httpx.get(service.base_url + path, params=parameters, headers=headers, timeout=30)


def ended(service: RunningService, tenant: str, url: str, seconds: float = 60) -> dict[str, Any]:
    """Ask a job until it has ended."""
    deadline = time.monotonic() + seconds
    while True:
        job: dict[str, Any] = get(service, url, tenant).json()
        if job["finished_at"]:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
