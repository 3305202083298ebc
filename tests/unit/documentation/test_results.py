"""Figures stand in `benchmarks/results`; pages are made from them, and decisions link to them."""

import json
import re
from pathlib import Path

import pytest

from tests.conftest import PROJECT_DIR
from tools.reference.adr_index import records
from tools.results import COMMAND, FOLDER, MEASUREMENTS, TITLES, measurements, pages

MOST_FIGURES = 3
MOST_WORDS = 900
"""About a page and a half."""
_NUMBER = r"(?<![\w.,])\d[\d,]*(?:\.\d+)?"
_FIGURE = re.compile(
    rf"{_NUMBER}(?: M)?\s?(?:s|ms|us|µs|kB|MB|GB|"
    r"(?:rows|events|messages|bytes)(?:/s| (?:a|per) second))(?![\w/])"
)
"""A measured time, size or rate. KiB, MiB and GiB are limits that were chosen."""


def too_much(record: str) -> list[str]:
    """What a decision record holds that belongs into `benchmarks/results`, or is too long."""
    wrong = []
    figures = _FIGURE.findall(record)
    if len(figures) > MOST_FIGURES:
        wrong.append(f"{len(figures)} measured figures: {figures}")
    if any(_FIGURE.search(line) for line in record.split("\n") if line.startswith("|")):
        wrong.append("a table of measured figures")
    if (words := len(record.split())) > MOST_WORDS:
        wrong.append(f"{words} words")
    return wrong


def test_pages_say_what_the_measurements_say() -> None:
    made = {str(file.relative_to(PROJECT_DIR)) for file in (PROJECT_DIR / FOLDER).glob("*")}
    assert made == set(pages())
    stale = [p for p, text in pages().items() if (PROJECT_DIR / p).read_text() != text]
    assert stale == [], f"write them with: {COMMAND}"


@pytest.mark.parametrize("record", records(), ids=lambda record: record.name[:4])
def test_a_decision_is_short_and_links_to_its_figures(record: Path) -> None:
    remedy = "move figures to benchmarks/results/NAME.json and link to docs/results"
    assert too_much(record.read_text()) == [], remedy


def test_figures_and_length_of_a_decision_are_noticed() -> None:
    assert too_much("wait 30 s, 8 MiB a piece, 1.2 ms, 64 KiB, 5,000 messages a second") == []
    assert too_much("a 1 s, 2 ms, 3 MB, 1,200 rows/s")[0].startswith("4 measured figures")
    assert too_much("| read | 1.5 s |") == ["a table of measured figures"]
    assert too_much("word " * (MOST_WORDS + 1)) == [f"{MOST_WORDS + 1} words"]


def test_a_measurement_that_is_not_of_the_form_is_named(tmp_path: Path) -> None:
    good = json.loads((MEASUREMENTS / "validator.json").read_text())
    wrong = {"rows": [["one cell"]], "date": "soon", "machin": "2 cores", "page": "none"}
    for change in ({name: value} for name, value in wrong.items()):
        (tmp_path / "a.json").write_text(json.dumps(good | change))
        with pytest.raises(ValueError, match=r"^a\.json: "):
            measurements(tmp_path)


def test_every_page_has_a_measurement() -> None:
    assert set(TITLES) == {one.page for one in measurements()}


def test_headings_of_a_page_differ() -> None:
    titles = [(one.page, one.title) for one in measurements()]
    assert len(titles) == len(set(titles))
