"""The page on which a tenant uploads files, in Chromium, on the real service."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.contracts.tenant import SourceMapping, TenantSettings
from tests.support.browsing import CONTRASTS, Watched, asked_only, tab_to, watch
from tests.support.service import RunningService

HOSTILE = "<img src=x onerror=alert(1)>"
SAVED = TenantSettings(sources={"shop": SourceMapping(columns={"user_id": "who"})})


@pytest.fixture
def bright(browser: Browser) -> Iterator[Watched]:
    """A page in light colours."""
    context = browser.new_context(viewport={"width": 1240, "height": 1000}, accept_downloads=True)
    yield watch(context.new_page())
    context.close()


@pytest.fixture
def tenant(service: RunningService, request: pytest.FixtureRequest) -> str:
    """A tenant of the test's own."""
    name = request.node.originalname.replace("_", "-")[5:60].strip("-")
    if name not in service.keys:
        service.add_tenant(name, SAVED)
    return name


def till(folder: Path, rows: int = 120) -> Path:
    """A till's file: German names, dates and words, two rows of it wrong."""
    words = ("kauf", "ansicht", "klick")
    lines = ["Kunde;Artikel;Zeit;Was"]
    lines += [
        f"kunde{i % 40};art{i % 17};{1 + i % 28:02d}.05.2024 {i % 24:02d}:{i % 60:02d};"
        + words[i % 3]
        for i in range(rows)
    ]
    lines[20] = ";art3;01.05.2024 10:00;kauf"
    lines[30] = "kunde1;art3;gestern;kauf"
    path = folder / "till.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def enter(watched: Watched, service: RunningService, key: str) -> Page:
    page = watched.page
    page.goto(f"{service.base_url}/upload")
    page.get_by_label("Key").fill(key)
    page.keyboard.press("Enter")
    return page


def choose(page: Page, file: Path) -> None:
    page.get_by_label("Choose a file").set_input_files(file)
    expect(page.get_by_role("button", name="Look again with this")).to_be_visible()


def test_a_file_is_looked_at_tried_stored_and_its_rejects_are_corrected(
    bright: Watched, service: RunningService, tenant: str, tmp_path: Path
) -> None:
    key = service.add_key(tenant, "ingest", "quarantine")
    page = enter(bright, service, key)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Upload for {tenant}")
    choose(page, till(tmp_path))
    expect(page.locator(".hero")).to_contain_text("118 of 120 rows would be stored")
    expect(page.get_by_role("table", name="Why rows would be rejected")).to_contain_text(
        "bad_timestamp"
    )
    preview = page.get_by_role("table", name="First rows, as they would be stored")
    expect(preview.locator("tbody tr").first).to_contain_text("kunde0")
    expect(page.get_by_label("what “kauf” means")).to_have_value("purchase")

    # a correction by the keyboard, and what becomes of it
    meaning = page.get_by_label("what “klick” means")
    tab_to(page, meaning)
    page.keyboard.press("v")
    expect(page.get_by_text("changed since the file was looked at")).to_be_visible()
    page.get_by_label("timestamp: time zone").fill("Europe/Berlin")
    page.get_by_role("button", name="Look again with this").press("Enter")
    expect(preview.locator("tbody tr").first).to_contain_text("2024-04-30T22:00")
    expect(page.get_by_text("changed since")).to_have_count(0)

    page.get_by_role("button", name="Dry run").click()
    outcome = page.locator("#outcome")
    expect(outcome).to_contain_text("2 of 120 rows are wrong: nothing would be stored")
    assert service.rows(RAW_INTERACTIONS, tenant) == []
    page.get_by_label("store the good rows").check()
    page.get_by_role("button", name="Upload").press("Enter")
    expect(page.get_by_role("heading", name="The upload")).to_be_focused()
    expect(outcome).to_contain_text("118 stored, 2 kept aside")
    stored = service.rows(RAW_INTERACTIONS, tenant)
    assert len(stored) == 118
    assert {row["interaction_type"] for row in stored} == {"purchase", "view"}

    page.get_by_role("button", name="2 rejected").click()
    expect(page.get_by_role("heading", name="Rejected rows")).to_be_focused()
    reasons = page.get_by_role("table", name="Rejected rows by reason")
    expect(reasons).to_contain_text("missing_value")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download rejected rows").click()
    corrected = tmp_path / "corrected.csv"
    downloading.value.save_as(corrected)
    found = list(csv.DictReader(corrected.read_text().splitlines()))
    found[0]["Kunde"], found[1]["Zeit"] = "neu", "02.05.2024 10:00"
    with corrected.open("w", newline="") as file:
        writer = csv.DictWriter(file, found[0])
        writer.writeheader()
        writer.writerows(found)
    page.get_by_label("Corrected file").set_input_files(corrected)
    page.get_by_role("button", name="Take corrected rows in").click()
    expect(page.get_by_text("2 stored, 0 known already, 0 still rejected")).to_be_visible()
    expect(page.get_by_role("table", name="Batches, newest first")).to_contain_text("1 × replayed")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("There was nothing to try.")).to_be_visible()
    assert len(service.rows(RAW_INTERACTIONS, tenant)) == 120
    assert bright.complaints == []
    assert asked_only(bright, service)


def test_the_key_is_in_the_page_alone(
    bright: Watched, service: RunningService, tenant: str
) -> None:
    key = service.keys[tenant]
    page = enter(bright, service, key)
    expect(page.get_by_text("may not")).to_be_visible()
    expect(page.get_by_text(f"eta keys create {tenant} --scope quarantine")).to_be_visible()
    kept = (
        "JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie, location.href])"
    )
    assert "eta_" not in page.evaluate(kept)
    assert key not in " ".join(bright.requests) + page.content()
    page.reload()
    expect(page.get_by_label("Key")).to_be_visible()
    enter(bright, service, "eta_0123456789abcdef_" + "A" * 43)
    expect(page.get_by_role("alert")).to_contain_text("no valid API key")
    enter(bright, service, service.add_key(tenant, "read"))
    expect(page.get_by_role("heading", name="Sent before")).to_be_visible()
    expect(page.get_by_label("Choose a file")).to_have_count(0)
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_label("Key")).to_be_focused()
    assert tenant not in page.content()


def test_what_a_file_says_is_text(
    bright: Watched, service: RunningService, tenant: str, tmp_path: Path
) -> None:
    asked: list[str] = []
    bright.page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page = enter(bright, service, service.keys[tenant])
    file = tmp_path / "hostile.csv"
    header = f"user_id,item_id,interaction_type,timestamp,{HOSTILE}"
    good = f"{HOSTILE},i1,{HOSTILE},1767225600000,{HOSTILE}"
    file.write_text("\n".join([header, good, f"u2,{HOSTILE},view,1767225600000,x"]) + "\n")
    choose(page, file)
    page.get_by_text("5 columns").click()
    expect(page.get_by_role("table", name="Columns of the file")).to_contain_text(HOSTILE)
    page.get_by_label("store the good rows").check()
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#outcome")).to_contain_text("1 stored, 1 kept aside")
    page.get_by_role("button", name="1 rejected").click()
    expect(page.get_by_role("heading", name="Rejected rows")).to_be_visible()
    assert page.locator("img").count() == 0
    assert asked == []
    assert bright.complaints == []


def test_a_transfer_is_cancelled_broken_off_and_sent_again_once(
    bright: Watched, service: RunningService, tenant: str, tmp_path: Path
) -> None:
    page = enter(bright, service, service.keys[tenant])
    choose(page, till(tmp_path))
    page.get_by_label("store the good rows").check()
    outcome = page.locator("#outcome")
    page.route("**/upload-csv*", _never)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(outcome).to_contain_text("Cancelled: nothing of the file is stored.")
    page.unroute("**/upload-csv*")
    page.route("**/upload-csv*", lambda route: route.abort("connectionreset"))
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert")).to_contain_text("The connection broke off")
    assert service.rows(RAW_INTERACTIONS, tenant) == []
    page.unroute("**/upload-csv*")
    # the service has taken the file in, and its answer is gone
    _lose_the_answer(page, page.get_by_role("button", name="Send again").click)
    expect(page.get_by_role("alert")).to_contain_text("the service may have it")
    page.get_by_role("button", name="Send again").click()
    expect(outcome).to_contain_text("118 stored, 2 kept aside")
    assert len(service.rows(RAW_INTERACTIONS, tenant)) == 118
    batches = page.get_by_role("table", name="Batches, newest first").locator("tbody tr")
    expect(batches).to_have_count(1)


def _lose_the_answer(page: Page, act: Callable[[], None]) -> None:
    """Let a request of the page reach the service, and break off what it answers."""
    session = page.context.new_cdp_session(page)
    pattern = {"urlPattern": "*upload-csv*", "requestStage": "Response"}
    paused: list[str] = []
    session.on("Fetch.requestPaused", lambda event: paused.append(event["requestId"]))
    session.send("Fetch.enable", {"patterns": [pattern]})
    act()
    for _ in range(600):
        if paused:
            break
        page.wait_for_timeout(100)
    session.send("Fetch.failRequest", {"requestId": paused[0], "errorReason": "ConnectionReset"})
    session.send("Fetch.disable")
    session.detach()


def _never(route: Route) -> None:
    """Leave a request without an answer."""


def test_of_a_large_file_the_start_is_looked_at_and_all_of_it_is_stored(
    bright: Watched, service: RunningService, tenant: str, tmp_path: Path
) -> None:
    sizes: list[int] = []
    bright.page.on(
        "request",
        lambda sent: "inspect" in sent.url and sizes.append(len(sent.post_data_buffer or b"")),
    )
    page = enter(bright, service, service.keys[tenant])
    path = till(tmp_path, rows=320_000)
    assert path.stat().st_size > 9 * 2**20
    choose(page, path)
    expect(page.get_by_text("There is more of the file")).to_be_visible()
    assert sizes[0] < 9 * 2**20
    page.get_by_label("store the good rows").check()
    page.get_by_role("button", name="Upload").click()
    # the same rows over and over: what came before is known
    expect(page.locator("#outcome")).to_contain_text("2 kept aside")
    expect(page.locator("#outcome")).to_contain_text("320,000")
    assert bright.complaints == []


def test_what_the_service_refuses_is_said_in_its_words(
    bright: Watched, service: RunningService, tenant: str, tmp_path: Path
) -> None:
    page = enter(bright, service, service.keys[tenant])
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    page.get_by_label("Choose a file").set_input_files(empty)
    expect(page.get_by_role("alert")).to_contain_text("empty")
    choose(page, till(tmp_path))
    page.get_by_text("All of the mapping, as JSON").click()
    area = page.get_by_label("The mapping, as settings have it")
    mapping = json.loads(area.input_value())
    area.fill("{")
    page.get_by_role("button", name="Take this").click()
    expect(page.get_by_text("That is not JSON.")).to_be_visible()
    area.fill(json.dumps(mapping | {"colums": {}}))
    page.get_by_role("button", name="Take this").click()
    page.get_by_role("button", name="Look again with this").click()
    expect(page.get_by_role("alert").filter(has_text="colums")).to_be_visible()
    expect(page.locator("#said")).to_have_text("The file could not be looked at.")
    page.get_by_label("user_id: from").select_option("constant")
    expect(page.get_by_label("user_id: the fixed value")).to_be_visible()


def test_a_saved_mapping_is_used_by_its_name(
    bright: Watched, service: RunningService, tenant: str, tmp_path: Path
) -> None:
    page = enter(bright, service, service.keys[tenant])
    file = tmp_path / "shop.csv"
    file.write_text("who,item_id,interaction_type,timestamp\nu1,i1,view,1767225600000\n")
    page.get_by_label("Its rows are").select_option("interactions")
    page.get_by_label("read with").select_option("shop")
    choose(page, file)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#outcome")).to_contain_text("1 stored")
    (sent,) = [url for url in bright.requests if "upload-csv" in url]
    assert "mapping=shop" in sent


@pytest.mark.parametrize("width", [1240, 360])
def test_every_text_stands_out_and_every_control_has_a_name(
    watched: Watched, service: RunningService, tenant: str, tmp_path: Path, width: int
) -> None:
    watched.page.set_viewport_size({"width": width, "height": 900})
    page = enter(watched, service, service.add_key(tenant, "ingest", "quarantine"))
    choose(page, till(tmp_path))
    for summary in page.locator("summary").all():
        summary.click()
    page.get_by_label("store the good rows").check()
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="The upload")).to_be_visible()
    page.get_by_role("button", name="2 rejected").first.click()
    expect(page.get_by_role("heading", name="Rejected rows")).to_be_visible()
    found = page.evaluate(CONTRASTS)
    assert len(found) > 100
    assert [entry for entry in found if entry["ratio"] < 4.5] == []
    assert page.evaluate(_NAMELESS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert watched.complaints == []


_NAMELESS = """() => [...document.querySelectorAll("input, select, textarea, button, progress")]
  .filter((node) => !(node.getAttribute("aria-label") || (node.labels && node.labels.length)
    || (node.tagName === "BUTTON" && node.textContent.trim())))
  .map((node) => node.outerHTML)"""
