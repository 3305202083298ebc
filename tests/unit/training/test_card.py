"""Cards of published sets: true, in figures that name nobody, and safe to open."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from markdown_it import MarkdownIt

from lakehouse.contracts.tenant import TrainingSetSettings
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.data_quality import Score
from lakehouse.storage.lake import Lake
from lakehouse.training.card.blocks import Grid
from lakehouse.training.card.gather import Contents, Stated, gather
from lakehouse.training.card.html import card_html
from lakehouse.training.card.loading import FOLDER, IN_HUGGING_FACE, IN_PARQUET, Loading
from lakehouse.training.card.markdown import card_markdown
from lakehouse.training.card.sections import make_card
from lakehouse.training.card.write import default_folder, write_card
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.manifest import EXAMPLES, HISTORIES, Manifest
from lakehouse.training.snapshots import TRAINING_SETS
from tests.support.cards import attributes, contents, published, texts
from tests.support.lake import NOON
from tests.support.training import PARAMETERS, examples

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"onmouseover='x' y=`",
    "markup": "</title></style><img src=x onerror=alert(1)>&amp;&#60;b&#62;",
    "control": "a\x00b\x07\x1b[31m\x85c\u2028d\nnew\r\nline\ttab",
    "right to left": "שלום \u202egnp.exe\u202c \u2066x",
    "table": "a | b\\| c || `code` **bold** _x_ ![i](http://e.x/i.png) [l](javascript:x)",
    "link": "https://evil.example www.evil.example a@b.example <http://e.x>",
    "lines": "# head\n- list\n> quote\n1. one\n```\nfence\n---",
    "long": "ab<&|" * 2_000,
}
"""What a tenant may call its categories; the policy of what a page may do is tested apart."""
FEW = "Treat this card as personal data"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def both(found: Contents) -> tuple[str, str]:
    card = make_card(found)
    return card_html(card), card_markdown(card)


def facts(found: Contents) -> dict[str, str]:
    """Return the first two cells of every row of every table of a card."""
    rows: dict[str, str] = {}
    for section in make_card(found).sections:
        for block in section.blocks:
            if isinstance(block, Grid):
                rows |= {row[0]: row[1] for row in block.rows}
    return rows


def said(found: Contents) -> str:
    """Return the text of a card on one line."""
    return " ".join("".join(Elements(card_html(make_card(found))).text).split())


def many_users(positives: int, seed: int = 1) -> list[dict[str, Any]]:
    return examples(positives, seed=seed, users=tuple(f"person-{n}" for n in range(40)))


def with_category(settings: LakeSettings, names: list[str], now: Any = NOON) -> Manifest:
    rows = many_users(60)
    chosen = [names[place % len(names)] for place in range(len(rows))]
    return published(settings, rows, {"item_category": texts(chosen)}, now=now)


def test_figures_are_those_of_the_rows(settings: LakeSettings) -> None:
    rows = many_users(100)
    numbers = pa.array([place % 100 for place in range(len(rows))], pa.int64())
    prices = pa.array([None if place % 4 else 2.5 for place in range(len(rows))], pa.float64())
    manifest = published(settings, rows, {"user_view_count": numbers, "item_price": prices})
    found = contents(settings, manifest)
    told = facts(found)
    assert told["Rows"] == f"{len(rows):,}"
    assert told["Positives (label 1)"].startswith("100 (")
    assert told["Users"] == f"{len({row['user_id'] for row in rows})}"
    assert told["Items"] == f"{len({row['item_id'] for row in rows})}"
    assert told["Seed"] == "42"
    assert told["Drawn per positive"] == "4.000"
    assert told["Content hash"].startswith(manifest.content_hash)
    assert told["user_view_count"] == "100.0%"
    assert told["item_price"] == f"{-(-len(rows) // 4) / len(rows):.1%}"
    card = make_card(found)
    (row,) = [
        row
        for section in card.sections
        for block in section.blocks
        if isinstance(block, Grid)
        for row in block.rows
        if row[0] == "user_view_count"
    ]
    # ten rows more than five rounds of 0 to 99
    assert row[2:7] == ("0", "8", "48", "89", "99")
    assert "Views." in row[7]
    page, text = both(found)
    assert page.count("<figure>") == 2
    assert "item\\_price" in text


def test_a_card_names_nobody(settings: LakeSettings) -> None:
    """Not where a feature is called as a user or an item is, nor by a column marked as personal."""
    rows = many_users(80)
    size = len(rows)
    users, items = ([row[name] for row in rows] for name in ("user_id", "item_id"))
    manifest = published(
        settings,
        rows,
        {
            "context_location": texts(["Secret Street 5"] * size),
            "user_texts": attributes([[("name", "Jane Doe")]] * size, pa.string()),
            "user_numbers": attributes([[("phone", 491234567.0)]] * size, pa.float64()),
            "item_category": texts([f" {item}" for item in items[:-1]] + ["shoes"]),
            "item_texts": attributes(
                [[("owner", user), ("kind", "boot"), ("long", "x" * 201)] for user in users],
                pa.string(),
            ),
            "item_unheard_of": texts(["free text"] * size),
        },
    )
    for document in both(contents(settings, manifest)):
        for secret in ("Secret", "Jane", "491", "free text", "person-", "xxxx"):
            assert secret not in document, secret
        assert not re.search(r"\b[ij]\d+\b", document)
        assert "an id or a long text, not shown" in document.replace("\\", "")
        assert "boot" in document
        assert "shoes" not in document or "10 most" in document


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_a_tenant_are_text(settings: LakeSettings, name: str) -> None:
    manifest = with_category(settings, [HOSTILE[name], "plain"])
    words = TrainingSetSettings(licence=HOSTILE[name][:400], contact="a<b>c|d")
    found = contents(settings, manifest, Stated(words))
    page, text = both(found)
    plain, _ = both(contents(settings, manifest))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", page + text)
    allowed = {tag for tag, _ in Elements(plain).elements}
    for tag, told in Elements(page).elements:
        assert tag in allowed - {"script", "img", "a"}
        assert not any(key.startswith("on") or key in ("src", "href", "style") for key in told)
    assert "alert(1)" not in "".join(re.findall(r"<[^>]*>", page))
    assert max(map(len, page.split("<bdi>")[1:]), default=0) < 3_000
    rendered = MarkdownIt("gfm-like", {"linkify": False}).enable(["table"]).render(text)
    elements = Elements(rendered).elements
    assert {tag for tag, _ in elements} <= {
        *("h1", "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "pre", "code"),
        *("blockquote", "strong"),
    }
    assert sum(tag == "h2" for tag, _ in elements) == len(make_card(found).sections)
    assert all(len(set(widths)) == 1 for widths in _widths(text))
    assert "https://" not in text


def _widths(text: str) -> Iterator[list[int]]:
    """Yield the number of columns of each line of each table of a Markdown document."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        yield [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]


def test_escaped_names_are_the_names(settings: LakeSettings) -> None:
    wanted = 'Men\'s <b>&amp; "Co" | a_b*c'
    page, text = both(contents(settings, with_category(settings, [wanted])))
    assert wanted in unescape(page)
    rendered = MarkdownIt("commonmark").enable("table").render(text)
    assert wanted in "".join(Elements(rendered).text)


def test_drift_is_told_against_the_snapshot_before(settings: LakeSettings) -> None:
    rows = many_users(150)
    numbers = [float(place % 90) for place in range(len(rows))]
    first = {"item_price": pa.array(numbers), "item_age_days": pa.array(numbers)}
    published(settings, rows, first)
    moved = {
        "item_price": pa.array([value + 60 for value in numbers]),
        "user_total": first["item_price"],
    }
    later = many_users(150, seed=2)
    length = len(later)
    second = {name: values.slice(0, length) for name, values in moved.items()}
    manifest = published(settings, later, second, now=NOON + timedelta(days=1))
    found = contents(settings, manifest)
    assert found.drift is not None
    assert found.drift.since != manifest.snapshot_id
    assert (found.drift.indexes["item_price"] or 0) > 0.25
    assert found.drift.indexes["user_total"] is None
    assert list(found.drift.gone) == ["item_age_days"]
    before = {row["item_id"] for row in rows}
    after = {row["item_id"] for row in later}
    assert facts(found)["New items, lost items"] == f"{len(after - before)}, {len(before - after)}"


def test_the_first_snapshot_says_that_there_is_none_before(settings: LakeSettings) -> None:
    assert "no earlier snapshot" in said(contents(settings, with_category(settings, ["a"])))


def test_a_gone_predecessor_is_told(settings: LakeSettings) -> None:
    first = with_category(settings, ["a", "b"])
    second = with_category(settings, ["b", "c", "c"], now=NOON + timedelta(days=1))
    TRAINING_SETS.withdraw(Lake(settings), first, NOON)
    found = contents(settings, second)
    assert found.drift is None
    assert "Not known: snapshot" in said(found)
    assert found.figures is not None


def test_a_withdrawn_snapshot_has_a_card_that_says_so(settings: LakeSettings) -> None:
    manifest = with_category(settings, ["shoes"])
    lake = Lake(settings)
    TRAINING_SETS.withdraw(lake, manifest, NOON)
    found = contents(settings, TRAINING_SETS.read(lake, "acme", manifest.snapshot_id))
    told = said(found)
    assert "was withdrawn" in told
    assert "rows could not be read" in told
    assert "shoes" not in told
    assert facts(found)["Rows"] == f"{manifest.counts.rows:,}"


def test_rows_that_are_gone_are_told(settings: LakeSettings) -> None:
    manifest = with_category(settings, ["shoes"])
    for path in Path(settings.lake, "training/training_examples").rglob("*.parquet"):
        path.unlink()
    found = contents(settings, manifest)
    assert found.figures is None
    assert "not kept any more" in said(found)


def test_other_rows_than_the_manifests_make_no_figures(settings: LakeSettings) -> None:
    manifest = with_category(settings, ["shoes"])
    counts = manifest.counts.model_copy(update={"positives": manifest.counts.positives + 1})
    found = contents(settings, manifest.model_copy(update={"counts": counts}))
    assert found.figures is None
    assert "not those its manifest names" in said(found)


def test_a_release_without_features_has_a_card_without_them(settings: LakeSettings) -> None:
    manifest = with_category(settings, ["shoes"])
    pinned = {k: v for k, v in manifest.pinned.items() if k not in (EXAMPLES, HISTORIES)}
    old = manifest.model_copy(update={"pinned": pinned, "example_files": None})
    found = contents(settings, old)
    told = said(found)
    assert "pins no features" in told
    assert "--features" not in told
    assert facts(found)["Users with a history"].startswith("not known")


@pytest.mark.parametrize("with_shown", [False, True])
def test_the_kinds_of_rows_add_up(settings: LakeSettings, with_shown: bool) -> None:
    rows = examples(12)
    shown: dict[str, Any] = {"negative_type": "shown", "item_id": "s", "draw_index": 5}
    if with_shown:
        rows += [{**row, **shown, "shown_position": 3} for row in rows if row["draw_index"] == 1]
    parameters = {**PARAMETERS, "shown_per_positive": 1} if with_shown else PARAMETERS
    found = facts(contents(settings, published(settings, rows, parameters=parameters)))
    counts = {name: int(text.split()[0]) for name, text in found.items() if "(label" in name}
    assert sum(counts.values()) == int(found["Rows"]) == len(rows)
    assert len(counts) == 3 + with_shown


def test_one_row_and_one_label(settings: LakeSettings) -> None:
    row = [one for one in examples(1) if one["label"] == 1]
    found = contents(settings, published(settings, row))
    told = said(found)
    assert "every row has one label" in told
    assert "no sampled negative to check" in told
    assert FEW in told
    only_negatives = [one for one in examples(30) if one["negative_type"] == "explicit"]
    later = published(settings, only_negatives, now=NOON + timedelta(days=1))
    assert "There are no positives" in said(contents(settings, later))
    assert FEW not in said(
        contents(settings, with_category(settings, ["a"], NOON + timedelta(days=2)))
    )


def test_numbers_without_a_size_break_nothing(settings: LakeSettings) -> None:
    rows = many_users(40)
    strange = [math.nan, math.inf, -math.inf, 1.7976931348623157e308, -5e-324, None, 0.0, 1.0]
    column = pa.array([strange[place % 8] for place in range(len(rows))], pa.float64())
    nothing = pa.nulls(len(rows), pa.float64())
    nan = pa.array([math.nan] * len(rows), pa.float64())
    features = {"item_a": column, "item_b": nothing, "item_price": nan, "item_age_days": column}
    published(settings, rows, features)
    found = contents(
        settings, published(settings, many_users(41), {}, now=NOON + timedelta(days=1))
    )
    assert found.unread == {}
    found = contents(settings, published(settings, rows, features, now=NOON + timedelta(days=2)))
    told = said(found)
    assert "are NaN or infinite" in told
    assert "no row has a value: item_price" in told
    page, _ = both(found)
    assert not re.search(r'="[^"]*(nan|inf)\b', page)


def test_types_without_a_distribution_are_told(settings: LakeSettings) -> None:
    rows = many_users(10)
    size = len(rows)
    features = {
        "item_seen_at": pa.array([NOON] * size, pa.timestamp("us", tz="UTC")),
        "item_tags": pa.array([["a"]] * size, pa.list_(pa.string())),
    }
    told = said(contents(settings, published(settings, rows, features)))
    assert "the card does not draw their type: item_seen_at, item_tags" in told


def test_words_scores_and_the_gate_are_told(settings: LakeSettings) -> None:
    manifest = with_category(settings, ["a"])
    words = TrainingSetSettings(licence="CC-BY-4.0", consent="art. 6(1)(a)")
    told = facts(contents(settings, manifest, Stated(words, "", [Score("items", 97.25, NOON)])))
    assert (told["Licence"], told["Consent"], told["Contact"]) == (
        *("CC-BY-4.0", "art. 6(1)(a)"),
        "not stated",
    )
    assert told["Score of items"] == "97.2 of 100"
    assert told["Quality gate"] == "not run before this publication"
    unknown = facts(contents(settings, manifest, Stated(None, "no such tenant")))
    assert unknown["Licence"] == "not known: no such tenant"
    assert unknown["Quality score"].startswith("not known")
    passed = manifest.model_copy(update={"gate": {"passed": True}})
    assert facts(contents(settings, passed))["Quality gate"] == "passed"


def test_without_the_models_no_text_is_shown(settings: LakeSettings, tmp_path: Path) -> None:
    manifest = with_category(settings, ["shoes"])
    found = gather(Lake(settings), tmp_path, manifest, Stated())
    assert "shoes" not in "".join(both(found))


def test_a_page_asks_for_nothing(settings: LakeSettings) -> None:
    page, _ = both(contents(settings, with_category(settings, ["shoes"])))
    elements = Elements(page).elements
    assert {"script", "link", "img", "iframe", "a"}.isdisjoint(tag for tag, _ in elements)
    (policy,) = [told["content"] for tag, told in elements if "http-equiv" in told]
    assert (policy or "").startswith("default-src 'none'; style-src 'sha256-")
    assert "url(" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_both_files_appear_in_place_of_earlier_ones(settings: LakeSettings, tmp_path: Path) -> None:
    found = contents(settings, with_category(settings, ["shoes"]))
    to = tmp_path / "deep" / "folder"
    assert [path.name for path in write_card(found, to)] == ["card.html", "card.md"]
    (to / "card.md").write_text("old")
    write_card(found, to)
    assert (to / "card.md").read_text().startswith("# Training set of acme")
    assert sorted(path.name for path in to.iterdir()) == ["card.html", "card.md"]
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(EtaError, match="cannot be written"):
            write_card(found, bad)


def test_expiry_takes_the_card_along(settings: LakeSettings) -> None:
    found = with_category(settings, ["shoes"])
    folder = default_folder(Lake(settings), found)
    assert folder.name.startswith(f"{found.snapshot_id}-")
    assert folder.parent == settings.home_dir / "exports/acme"


@pytest.mark.parametrize("features", [["all"], []], ids=["with features", "without"])
@pytest.mark.parametrize("loading", [*IN_PARQUET, *IN_HUGGING_FACE], ids=lambda one: one.tool)
def test_the_lines_of_a_card_load_an_export(
    settings: LakeSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loading: Loading,
    features: list[str],
) -> None:
    manifest = with_category(settings, ["shoes"])
    is_parquet = loading in IN_PARQUET
    kind = ExportFormat.PARQUET if is_parquet else ExportFormat.HUGGING_FACE
    to = tmp_path / "out"
    export_snapshot(Lake(settings), manifest, kind, to, features=features)
    assert loading.code in card_text(settings, manifest)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    held: dict[str, Any] = {}
    exec(loading.code.replace(FOLDER, str(to)), held)
    assert len(loading.code.strip().splitlines()) <= 5
    rows = held["rows"]
    rows = rows.collect() if loading.tool == "polars" else rows
    rows = rows.pl() if loading.tool == "DuckDB" else rows
    assert len(rows) == manifest.counts.rows
    assert sum(rows["label"]) == manifest.counts.positives


def card_text(settings: LakeSettings, manifest: Manifest) -> str:
    return card_markdown(make_card(contents(settings, manifest)))


def test_sections_hold_what_a_reader_asks_for(settings: LakeSettings) -> None:
    titles = [
        section.title
        for section in make_card(contents(settings, with_category(settings, ["a"]))).sections
    ]
    assert titles == [
        *("What it is", "Rows and labels", "Columns", "Sampling", "Coverage", "Features"),
        *("Distributions", "Drift against the snapshot before", "Quality of the data"),
        *("Licence and consent", "Known limits", "How to load it"),
    ]


def test_a_fault_of_the_sampling_is_no_quiet_line(settings: LakeSettings) -> None:
    found = contents(settings, with_category(settings, ["a"]))
    assert found.proof is not None
    broken = replace(found, proof=replace(found.proof, collisions=3, too_early=0))
    assert "not as it is documented" in said(broken)


def test_history_and_catalogue_are_counted(settings: LakeSettings) -> None:
    rows = many_users(30)
    catalogue = [
        {"tenant_id": "acme", "item_id": name, "known_at": NOON, "updated_at": NOON}
        for name in ("i1", "i2", "unused")
    ]
    from tests.support.training import write_training_tables

    write_training_tables(settings, {"acme": rows}, catalogue=catalogue, parameters=PARAMETERS)
    from lakehouse.training.publish import publish

    found = contents(settings, publish(settings, "acme", gate=None, now=NOON))
    assert found.coverage is not None
    assert (found.coverage.catalogued, found.coverage.catalogued_used) == (3, 2)
    assert found.coverage.items == found.coverage.used == len({row["item_id"] for row in rows})
    assert found.coverage.positive == 30
    assert found.coverage.first_moments == 0
    assert found.coverage.users_with_history == len({row["user_id"] for row in rows})
    assert DeltaTable(f"{settings.lake}/training/user_histories").version() > 0
