"""The page of the data's quality in Chromium, on the real service."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from lakehouse.contracts.tenant import EvaluationSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.quality.history import Reader
from lakehouse.quality.pages import report_html
from lakehouse.storage.lake import Lake
from lakehouse.training.card.evaluation import gather_evaluation, make_evaluation_card
from lakehouse.training.card.html import card_html
from lakehouse.training.card.kept import keep_card
from lakehouse.training.card.sections import make_card
from lakehouse.training.evaluation import make_evaluations
from tests.support.browsing import CONTRASTS, Watched, asked_only, brightness, tab_to
from tests.support.cards import contents, published
from tests.support.evaluation import evaluated, write_evaluation_tables
from tests.support.lake import NOON
from tests.support.quality_history import plant_gates, plant_measurements, plant_runs
from tests.support.rows import interactions_csv, lines
from tests.support.service import OPERATOR_TOKEN, RunningService
from tests.support.training import examples

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def watched_service(service: RunningService) -> RunningService:
    """The service with two tenants' weeks, one of them in trouble, and rejected rows."""
    service.add_tenant("globex")
    now = datetime.now(UTC)
    troubled = {"acme": True, "globex": False}
    for name, trouble in troubled.items():
        plant_measurements(service.lake, name, now, trouble=trouble)
        service.upload(name, interactions_csv(20))
    bad = lines(",i1,view,1700000000000", "u1,i1,stare,1700000000000", "u1,,view,never")
    service.upload("acme", bad, on_error="quarantine")
    plant_gates(service.lake, troubled, now)
    plant_runs(service.lake, troubled, now)
    return service


def _enter(watched: Watched, service: RunningService, key: str) -> None:
    watched.page.goto(f"{service.base_url}/dashboard")
    watched.page.get_by_label("Key").fill(key)
    watched.page.keyboard.press("Enter")


def test_the_operator_sees_all_tenants_and_opens_one(
    watched: Watched, watched_service: RunningService
) -> None:
    page = watched.page
    _enter(watched, watched_service, OPERATOR_TOKEN)
    rows = page.get_by_role("table", name="Score by tenant").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("acme")  # the lowest score first
    expect(rows.first).to_contain_text("held back")
    page.get_by_role("button", name="acme").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("acme")
    expect(page.get_by_role("img")).to_have_count(6)
    expect(page.get_by_role("img", name="Validity of interactions")).to_be_visible()
    rejects = page.get_by_role("table", name="Rejected rows by reason")
    expect(rejects).to_contain_text("missing")
    costs = page.get_by_role("table", name="Costs by stage").locator("tbody tr")
    expect(costs).to_have_text(
        [re.compile(r"raw.*2\.5 MB.*90,000"), re.compile(r"1\.3 GB.*7,000.*21 s")]
    )
    page.get_by_role("button", name="All tenants").click()
    expect(rows).to_have_count(2)
    assert watched.complaints == []
    assert asked_only(watched, watched_service)
    assert OPERATOR_TOKEN not in " ".join(watched.requests) + page.url


def test_a_tenants_key_shows_its_tenant_alone(
    watched: Watched, watched_service: RunningService
) -> None:
    page = watched.page
    _enter(watched, watched_service, watched_service.add_key("globex", "read"))
    expect(page.get_by_role("heading", level=1)).to_have_text("globex")
    assert "acme" not in page.content()
    page.evaluate("location.hash = 'acme'")
    expect(page.get_by_role("alert")).to_contain_text("another tenant")
    assert watched.complaints == [
        "Failed to load resource: the server responded with a status of 403 (Forbidden)"
    ]
    assert page.get_by_role("img").count() == 0


def test_the_cards_of_a_tenants_snapshots_are_saved(
    watched: Watched, watched_service: RunningService
) -> None:
    page, lake = watched.page, Lake(watched_service.lake)
    for folder in ("training_sets", "evaluation_sets"):  # of the same test in other colours
        shutil.rmtree(Path(watched_service.lake.lake) / folder, ignore_errors=True)
    _enter(watched, watched_service, watched_service.add_key("acme", "read"))
    for name in ("training set", "evaluation snapshot"):
        page.get_by_role("button", name=f"Card of the {name}").click()
        expect(page.get_by_role("alert")).to_contain_text("nothing is published for tenant acme")
    watched.complaints.clear()  # the browser's own, of the answers 404
    training = published(watched_service.lake, examples(20))
    page.get_by_role("button", name="Card of the training set").click()
    expect(page.get_by_role("alert")).to_contain_text("eta training card acme current")
    watched.complaints.clear()
    card = make_card(contents(watched_service.lake, training))
    assert keep_card(lake, training, card)
    write_evaluation_tables(watched_service.lake, {"acme": evaluated(40)})
    [divided] = make_evaluations(
        watched_service.lake, {"acme": EvaluationSettings()}, lambda _: None, lambda: NOON
    )
    other = make_evaluation_card(gather_evaluation(lake, divided))
    assert keep_card(lake, divided, other)
    for name, kind, made in (
        ("training set", "training", card),
        ("evaluation snapshot", "evaluation", other),
    ):
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Card of the {name}").click()
        assert saved.value.suggested_filename == f"acme-{kind}-card.html"
        assert saved.value.path().read_text() == card_html(made)
        expect(page.get_by_text(f"Saved: acme-{kind}-card.html.")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
    assert watched.complaints == []
    assert asked_only(watched, watched_service)


def test_one_comes_down_to_a_check_by_keyboard(
    watched: Watched, watched_service: RunningService
) -> None:
    page = watched.page
    _enter(watched, watched_service, watched_service.add_key("acme", "admin"))
    expect(page.get_by_role("heading", level=1)).to_have_text("acme")
    summary = page.locator("summary", has_text="check failed").nth(1)
    tab_to(page, summary)
    page.keyboard.press("Enter")
    checks = summary.locator("xpath=..").get_by_role("table", name="Checks not met")
    expect(checks).to_contain_text("raw_event_time_is_in_range")
    expect(checks).to_contain_text("412 of 9,870 interactions lie outside")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(checks.locator("code", has_text="uv run dbt show")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    rows = checks.get_by_role("table", name="identifiers masked")
    expect(rows).to_contain_text("masked-5f1c")
    assert watched.complaints == []


def test_the_arrow_keys_go_through_the_measurements_of_all_charts(
    watched: Watched, watched_service: RunningService
) -> None:
    page = watched.page
    _enter(watched, watched_service, watched_service.add_key("acme", "read"))
    readouts = page.locator("output")
    expect(readouts).to_have_count(6)
    before = readouts.all_text_contents()
    page.get_by_role("img", name="Validity of interactions").press("ArrowLeft")
    after = readouts.all_text_contents()
    times = [{text.partition(" · ")[0] for text in texts} for texts in (before, after)]
    assert [len(found) for found in times] == [1, 1]
    assert times[0] != times[1]
    page.get_by_role("button", name="items", exact=True).click()
    expect(page.get_by_role("img", name="Validity of items")).to_be_visible()
    page.locator("summary", has_text="measurements of items").press("Enter")
    expect(page.get_by_role("table", name="Measurements of items")).to_be_visible()


def test_the_page_follows_the_systems_colours_and_the_button(
    watched: Watched, watched_service: RunningService
) -> None:
    page = watched.page
    page.goto(f"{watched_service.base_url}/dashboard")
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (brightness(page) < 100) == is_dark
    page.get_by_role("button", name="Colours: auto").click()
    assert brightness(page) > 200
    page.get_by_role("button", name="Colours: light").click()
    assert brightness(page) < 100
    page.reload()
    assert brightness(page) < 100
    assert watched.complaints == []


def test_every_text_stands_out_from_its_ground(
    watched: Watched, watched_service: RunningService
) -> None:
    page = watched.page
    _enter(watched, watched_service, watched_service.add_key("acme", "read"))
    expect(page.get_by_role("heading", level=1)).to_have_text("acme")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 50
    faint = [entry for entry in found if entry["ratio"] < 4.5]
    assert faint == []


def test_a_wrong_key_and_an_empty_tenant_are_said_in_words(
    watched: Watched, watched_service: RunningService
) -> None:
    page = watched.page
    _enter(watched, watched_service, "eta_0123456789abcdef_" + "A" * 43)
    expect(page.get_by_role("alert")).to_contain_text("no valid API key")
    assert page.evaluate("sessionStorage.length") == 0
    if "new" not in watched_service.keys:
        watched_service.add_tenant("new")
    page.get_by_label("Key").fill(watched_service.add_key("new", "read"))
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("new")
    for text in ("Nothing was received", "Nothing was measured yet", "No row is in quarantine"):
        expect(page.get_by_text(text)).to_be_visible()


def test_the_report_is_one_file_that_asks_for_nothing(
    watched: Watched, watched_service: RunningService, tmp_path: Path
) -> None:
    database = ControlDatabase.open(watched_service.lake.control_url)
    report = Reader(Lake(watched_service.lake), database).report("acme")
    database.close()
    report.gates[0].checks[0].sentence = f"</script>{HOSTILE}"
    file = tmp_path / "report.html"
    file.write_text(report_html(report))
    watched.page.goto(file.as_uri())
    expect(watched.page.get_by_role("heading", level=1)).to_have_text("acme")
    expect(watched.page.get_by_role("img")).to_have_count(6)
    expect(watched.page.get_by_text(HOSTILE)).to_be_visible()
    assert watched.page.locator("img").count() == 0
    assert watched.complaints == []
    assert watched.requests == [file.as_uri()]
