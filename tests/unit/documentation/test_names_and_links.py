"""What the documentation names exists: variables, metrics, files and headings."""

import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT_DIR
from tests.unit.documentation.examples import spans
from tools.reference.metrics_page import names
from tools.reference.settings_page import SET_BY_ETA, settings_page, variables

PAGES = sorted(
    [
        *PROJECT_DIR.glob("*.md"),
        *PROJECT_DIR.glob(".github/*.md"),
        *PROJECT_DIR.glob("examples/*.md"),
        *PROJECT_DIR.glob("docs/**/*.md"),
    ]
)
GUIDES = [p for p in PAGES if p.name == "README.md" or p.is_relative_to(PROJECT_DIR / "docs")]
_FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def _id(page: Path) -> str:
    return str(page.relative_to(PROJECT_DIR))


def links(text: str) -> list[str]:
    """Targets of the links and images of a page; code holds none."""
    return _LINK.findall(_CODE.sub("", _FENCE.sub("", text)))


def anchors(text: str) -> set[str]:
    """The names that a page's headings have."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-1")
    return found


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    wrong = []
    for target in links(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        is_there = file.exists() and file.is_relative_to(PROJECT_DIR)
        if not is_there or (anchor and anchor not in anchors(file.read_text())):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_every_relative_link_and_anchor_resolves(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PROJECT_DIR", tmp_path)
    page = tmp_path / "a.md"
    page.write_text(
        "# A `b`: c\n[x](#a-b-c) [y](#no) ![z](no.png) `[c](no.md)`\n```\n[f](no)\n```\n"
    )
    assert broken(page) == ["#no", "no.png"]


@pytest.mark.parametrize("page", GUIDES, ids=_id)
def test_every_variable_exists(page: Path) -> None:
    compose = (PROJECT_DIR / "deploy/compose.yaml").read_text()
    known = variables() | SET_BY_ETA | set(re.findall(r"ETA_\w+", compose))
    named = set(re.findall(r"\bETA_[A-Z_]+", page.read_text()))
    beginnings = {name for name in named if name.endswith("_")}
    assert {b for b in beginnings if not any(k.startswith(b) for k in known)} == set()
    assert named - beginnings - known == set()


@pytest.mark.parametrize("page", GUIDES, ids=_id)
def test_every_metric_exists(page: Path) -> None:
    known = names()
    known |= {f"{name}{end}" for name in known for end in ("_bucket", "_sum", "_count")}
    text = re.sub(r"\beta_runs\.prom\b|:eta_[a-z_]+:", "", page.read_text())
    assert set(re.findall(r"\beta_[a-z_]+[a-z]\b", text)) - known - _OTHER == set()


_OTHER = {"eta_client", "eta_data", "eta_dags", "eta_examples", "eta_plan"}
"""Packages and a macro that are named like a metric."""


def test_what_is_said_of_other_products_has_a_source() -> None:
    text = (PROJECT_DIR / "docs/comparison.md").read_text()
    about = [part for part in text.split("\n## ") if part.startswith(_OTHER_PRODUCTS)]
    assert len(about) == len(_OTHER_PRODUCTS)
    claims = [one for part in about for one in re.findall(r"^- .+", part, re.MULTILINE)]
    rows = [line.strip("| ").split("|")[2:] for line in text.split("\n") if line.startswith("| ")]
    claims += [cell for row in rows[1:] for cell in row if cell.strip(" -")]
    assert [claim for claim in claims if "][" not in claim] == []
    named = set(re.findall(r"\]\[([a-z-]+)\]", text))
    assert named == set(re.findall(r"^\[([a-z-]+)\]: https://\S+$", text, re.MULTILINE))


_OTHER_PRODUCTS = ("Feast", "Snowplow", "Amazon Personalize")


def test_every_page_is_at_most_two_clicks_from_the_start() -> None:
    docs = PROJECT_DIR / "docs"
    reached = {docs / "index.md"}
    for _ in range(2):
        for page in list(reached):
            targets = [target.partition("#")[0] for target in links(page.read_text())]
            reached |= {(page.parent / one).resolve() for one in targets if one.endswith(".md")}
    assert set(docs.rglob("*.md")) - reached == set()


@pytest.fixture(scope="module")
def identifiers() -> set[str]:
    """Every name in the project's code, SQL and settings, and of its files."""
    folders = ["lakehouse", "ingest_service", "dbt_project", "macros", "dags", "deploy"]
    folders += ["packages", "tests", "benchmarks", "soda_checks", "tools"]
    files = [file for folder in folders for file in (PROJECT_DIR / folder).rglob("*")]
    files += PROJECT_DIR.glob("*.*")
    ends = (".py", ".sql", ".yml", ".yaml", ".toml", ".js", ".avsc", ".lua")
    texts = [file.read_text() for file in files if file.suffix in ends]
    return {file.stem for file in files} | set(re.findall(r"[A-Za-z_]\w*", "\n".join(texts)))


_NAME = re.compile(r"\b[a-z]\w*_\w*[a-z0-9]\b")
_INVENTED = {"my_model", "user_weekend_interactions"}
"""Names that an example gives to something new."""
_OF_DELTA_RS = {"google_service_account_path", "azure_storage_account_name"}
"""Options that go through to delta-rs as they are."""


@pytest.mark.parametrize("page", GUIDES, ids=_id)
def test_every_name_of_the_code_is_in_the_code(page: Path, identifiers: set[str]) -> None:
    if page.parent.name == "adr":  # of its time
        return
    named = {n for span in spans(page.read_text()) for n in _NAME.findall(span)}
    assert named - identifiers - _INVENTED - _OF_DELTA_RS == set()


def defaults_said(text: str) -> list[tuple[str, str]]:
    """Variables that a sentence gives with a value, as in `ETA_X` (5 s)."""
    found = re.findall(
        r"`([A-Z][A-Z_]{4,})`\s+\w*\s?\((\d[\d.,]*)(?: ([GMK]iB))?\b(?! hours)", text
    )
    return [(name, f"{number.replace(',', '')} {unit}".strip()) for name, number, unit in found]


@pytest.mark.parametrize("page", GUIDES, ids=_id)
def test_defaults_are_those_of_the_settings(page: Path) -> None:
    rows = re.findall(r"^\| `(ETA_\w+)` \|[^|]*\| ([^|]*) \|", settings_page(), re.MULTILINE)
    for name, value in defaults_said(page.read_text()):
        same = [default for variable, default in rows if variable.endswith(name)]
        assert any(re.search(rf"(?<![\d.]){value}\b", default) for default in same), (name, value)


def test_defaults_in_a_sentence_are_found() -> None:
    text = "`ETA_A_B` (1,024), `BODY_SECONDS` seconds (60), `LIMIT` (4 GiB) `ETA_C` (no number)"
    assert defaults_said(text) == [("ETA_A_B", "1024"), ("BODY_SECONDS", "60"), ("LIMIT", "4 GiB")]


def test_variables_of_the_models_are_described_with_their_defaults() -> None:
    project = yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text())["vars"]
    table = (PROJECT_DIR / "docs/models.md").read_text().split("## Variables")[1].split("\n## ")[0]
    said = dict(re.findall(r"^\| `(\w+)` \| ([\d.,]+) \|", table, re.MULTILINE))
    numbers = {name: value for name, value in project.items() if isinstance(value, int | float)}
    assert {name: float(value.replace(",", "")) for name, value in said.items()} == numbers
    assert set(project) - {"features"} <= set(re.findall(r"`(\w+)`", table))


def test_tutorial_sets_what_compose_asks_for() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", (PROJECT_DIR / "deploy/compose.yaml").read_text()))
    text = (PROJECT_DIR / "docs/tutorials/cluster.md").read_text()
    before, _, _ = text.partition("docker compose")
    assert asked
    assert asked - set(re.findall(r"\b([A-Z_]+)=\$\(", before)) == set()
