"""The page of the API's description in Chromium: from the service alone, and closed."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.support.browsing import Watched, asked_only
from tests.support.service import RunningService


def test_the_description_is_drawn_from_the_services_own_files(
    watched: Watched, service: RunningService
) -> None:
    page = watched.page
    page.goto(f"{service.base_url}/docs")
    expect(page.get_by_role("heading", name="eta ingestion")).to_be_visible()
    page.get_by_role("button", name="/internal/data/upload-csv").first.click()
    expect(page.get_by_text("Idempotency-Key").first).to_be_visible()
    assert watched.complaints == []
    assert asked_only(watched, service)


def test_a_closed_description_is_gone_for_everybody(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home: Path = tmp_path_factory.mktemp("home")
    closed = RunningService(home, environment={"ETA_SERVICE_DOCS": "closed"})
    closed.add_tenant("acme")
    closed.start()
    try:
        for path in ("/docs", "/openapi.json", "/docs/ui.js"):
            answer = httpx.get(closed.base_url + path)
            assert answer.status_code == 404, path
        assert httpx.get(f"{closed.base_url}/docs").json()["code"] == "description_closed"
        # what the description says is still held: an unknown parameter is refused
        refused = closed.upload("acme", "a,b\n", dryrun="true")
        assert refused.json()["code"] == "unknown_parameter"
    finally:
        closed.stop()
