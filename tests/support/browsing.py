"""Chromium on the service's pages: what a page asked for, said on its console or threw is kept."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.service import RunningService

CHROMIUM = shutil.which("chromium")
SCHEMES = ("light", "dark")


@dataclass
class Watched:
    """A page, and everything it asked for, said on its console or threw."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no browser: `apt-get install chromium`")
    with sync_playwright() as playwright:
        # as root Chromium has no sandbox; what it opens here is our own page
        expect.set_options(timeout=60_000)  # a busy machine
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(params=SCHEMES)
def watched(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Watched]:
    """A page in light and in dark colours."""
    context = browser.new_context(
        color_scheme=request.param, viewport={"width": 1240, "height": 1000}
    )
    yield watch(context.new_page())
    context.close()


def watch(page: Page) -> Watched:
    """Return a page whose requests and complaints are kept from now on."""
    found = Watched(page)
    page.on("request", lambda asked: found.requests.append(asked.url))
    page.on("console", lambda said: _complain(found, said))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    return found


def _complain(found: Watched, said: Any) -> None:
    if said.type in ("error", "warning"):
        found.complaints.append(said.text)


def asked_only(watched: Watched, service: RunningService) -> bool:
    """Whether a page asked for something, and nobody but the service."""
    own = (f"{service.base_url}/", "data:", f"blob:{service.base_url}/")
    return bool(watched.requests) and all(url.startswith(own) for url in watched.requests)


def tab_to(page: Page, wanted: Any) -> None:
    """Press Tab until a control has the focus."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if wanted.evaluate("node => node === document.activeElement"):
            return
    raise AssertionError("the keyboard does not come there")


def brightness(page: Page) -> float:
    """Return how bright the page's ground is, from 0 to 255."""
    text = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in text[4:-1].split(",")[:3]) / 3


CONTRASTS = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const part = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const ground = (node) => {
    for (let n = node; n; n = n.parentElement) {
      const colour = parse(getComputedStyle(n).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.querySelector("body"), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !node.getClientRects().length) continue;
    const style = getComputedStyle(node);
    const ink = parse(node.closest("svg") ? style.fill : style.color);
    const [a, b] = [luminance(ink), luminance(ground(node))].sort((x, y) => y - x);
    found.push({ text: walk.currentNode.data, ratio: (a + 0.05) / (b + 0.05) });
  }
  return found;
}"""
