"""A card in Chromium: it asks for nothing, runs nothing, and fits screens and schemes."""

from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse.settings import LakeSettings
from lakehouse.training.card.write import write_card
from tests.support.browsing import Watched
from tests.support.cards import contents, published, texts
from tests.support.training import examples

HOSTILE = "<script>document.title='hacked'</script><img src=http://evil.example/x onerror=alert(1)>"


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ETA_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    settings = LakeSettings()
    rows = examples(60, users=tuple(f"u{place}" for place in range(30)))
    names = texts([("W" * 300, HOSTILE, "שלום")[place % 3] for place in range(len(rows))])
    numbers = pa.array([float(place) for place in range(len(rows))])
    manifest = published(settings, rows, {"item_category": names, "item_price": numbers})
    write_card(contents(settings, manifest), tmp_path / "card")
    return tmp_path / "card/card.html"


def test_a_card_asks_for_nothing_and_runs_nothing(watched: Watched, card: Path) -> None:
    page = watched.page
    page.goto(card.as_uri())
    assert watched.requests == [card.as_uri()]
    assert watched.complaints == []
    assert page.title().startswith("Training set of acme")
    assert page.get_by_text(HOSTILE[:60]).count() == 1
    # its style is applied, as its policy allows
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") == "26px"
    for width in (1240, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 900})  # A4 less its margins
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_text_of_a_card_can_be_read(watched: Watched, card: Path) -> None:
    """Every text stands out from the page by 4.5 to 1, as WCAG 2 wants it, in both schemes."""
    watched.page.goto(card.as_uri())
    worst = watched.page.evaluate(
        """() => {
          const light = (text) => {
            const parts = text.match(/[\\d.]+/g).slice(0, 3).map((value) => {
              const share = value / 255;
              return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
          };
          const page = light(getComputedStyle(document.body).backgroundColor);
          const kinds = "h1, h2, p:not(.warning), td, th, text, figcaption";
          const texts = [...document.querySelectorAll(kinds)];
          return Math.min(...texts.map((element) => {
            const style = getComputedStyle(element);
            const ink = light(element.tagName === "text" ? style.fill : style.color);
            return (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
          }));
        }"""
    )
    assert worst >= 4.5
