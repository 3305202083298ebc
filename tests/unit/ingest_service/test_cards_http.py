"""The card of a training set by HTTP: its tenant's alone, escaped, and gone with its snapshot."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from lakehouse.contracts.retention import RetentionPolicy
from lakehouse.storage.lake import Lake
from lakehouse.training.card.blocks import (
    Bar,
    Card,
    Code,
    Grid,
    Paragraph,
    Picture,
    Pictures,
    Section,
)
from lakehouse.training.card.document import card_document, read_card
from lakehouse.training.card.html import card_html, card_policy
from lakehouse.training.card.kept import MOST_BYTES, keep_card, kept_card
from lakehouse.training.card.markdown import card_markdown
from lakehouse.training.card.sections import make_card
from lakehouse.training.manifest import Manifest
from lakehouse.training.snapshot_expiry import expire_snapshots
from lakehouse.training.snapshots import TRAINING_SETS
from tests.support.app import App
from tests.support.cards import contents, published, texts
from tests.support.lake import NOON
from tests.support.training import examples

HOSTILE = "<script>document.title='hacked'</script>"
URL = "/v1/training/cards/"


@pytest.fixture
def app(tmp_path: Path) -> Any:
    made = App(tmp_path / "home")
    made.control.tenants.add("acme")
    made.keys["acme"] = made.control.keys.create("acme", {"read"}).secret
    made.keys["sender"] = made.control.keys.create("acme", {"ingest"}).secret
    yield made
    made.close()


@pytest.fixture
def manifest(app: App) -> Manifest:
    rows = examples(60, users=tuple(f"u{place}" for place in range(30)))
    names = texts([HOSTILE if place % 3 else "plain" for place in range(len(rows))])
    numbers = pa.array([float(place) for place in range(len(rows))])
    return published(app.lake, rows, {"item_category": names, "item_price": numbers})


def made_card(app: App, manifest: Manifest) -> Card:
    card = make_card(contents(app.lake, manifest))
    assert keep_card(Lake(app.lake), manifest, card)
    return card


def answers(app: App, *wanted: tuple[str, str, str]) -> list[httpx.Response]:
    async def program(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await client.get(URL + name, headers=app.headers(who, Accept=accept))
            for name, who, accept in wanted
        ]

    found: list[httpx.Response] = app.run(program)
    return found


def test_a_card_is_had_as_json_html_and_markdown(app: App, manifest: Manifest) -> None:
    card = made_card(app, manifest)
    page, browser, text, document, anything = answers(
        app,
        ("current", "acme", "text/html"),
        (manifest.snapshot_id, "acme", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("current", "acme", "application/json;q=0.2, text/markdown"),
        ("current", "acme", "application/json"),
        ("current", "acme", "*/*"),
    )
    assert page.text == browser.text == card_html(card)
    assert HOSTILE not in page.text
    assert "&lt;script&gt;" in page.text
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert policy == f"{card_policy()}; frame-ancestors 'none'; sandbox"
    assert "script-src" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert text.text == card_markdown(card)
    assert document.content == anything.content == card_document(card)
    assert document.json()["format"] == 1
    assert {found.headers["vary"] for found in (page, text, document)} == {"Accept"}


def test_who_may_not_see_a_card_and_what_is_none(app: App, manifest: Manifest) -> None:
    made_card(app, manifest)
    sent = answers(
        app,
        (manifest.snapshot_id, "good", "text/html"),  # another tenant's
        ("current", "good", "text/html"),
        ("current?tenant_id=acme", "good", "text/html"),
        ("current", "sender", "text/html"),
        ("..%2Facme%2Fcurrent", "acme", "text/html"),
        ("current", "acme", "image/png"),
        ("current", "acme", "text/html;q=0"),
    )
    assert [found.status_code for found in sent] == [404, 404, 403, 403, 404, 406, 406]
    codes = [found.json()["code"] for found in sent[:4]]
    assert codes == ["no_snapshot", "no_snapshot", "wrong_tenant", "missing_scope"]


def test_without_a_card_it_is_said_how_to_make_one(app: App, manifest: Manifest) -> None:
    [found] = answers(app, ("current", "acme", "text/html"))
    assert (found.status_code, found.json()["code"]) == (404, "no_card")
    assert "eta training card acme current" in found.json()["remedy"]


@pytest.mark.parametrize(
    "damage", [b"{", b"\xff", b"[" * 100_000, b'{"snapshot_id": "none"}', b"{}"]
)
@pytest.mark.parametrize("file", ["current", "manifest"])
def test_what_is_damaged_is_said_and_is_not_missing(
    app: App, manifest: Manifest, damage: bytes, file: str
) -> None:
    name = "current.json" if file == "current" else f"{manifest.snapshot_id}.json"
    Lake(app.lake).folder("training_sets/acme").write(name, damage)
    [found] = answers(app, ("current", "acme", "text/html"))
    assert (found.status_code, found.json()["code"]) == (500, "damaged_snapshot")
    assert f"training_sets/acme/{name}" in found.json()["detail"]


def test_a_card_goes_with_its_snapshot_and_changes_nothing_of_it(
    app: App, manifest: Manifest
) -> None:
    lake = Lake(app.lake)
    made_card(app, manifest)
    assert TRAINING_SETS.all_of(lake, "acme") == [manifest]
    assert TRAINING_SETS.has_cards(lake, "acme") == {manifest.snapshot_id}
    TRAINING_SETS.withdraw(lake, manifest, NOON)
    assert not TRAINING_SETS.has_cards(lake, "acme")
    held = TRAINING_SETS.read(lake, "acme", manifest.snapshot_id)
    assert not keep_card(lake, held, Card("late", []))
    assert not keep_card(lake, manifest, Card("read before it was withdrawn", []))
    assert not TRAINING_SETS.has_cards(lake, "acme")


def test_a_card_expires_with_its_snapshot(app: App, manifest: Manifest) -> None:
    lake, later = Lake(app.lake), NOON + timedelta(days=4_000)
    made_card(app, manifest)
    published(app.lake, examples(61), now=later)
    expired = expire_snapshots(lake, {"acme": RetentionPolicy()}, later)
    assert [found.snapshot_id for found in expired] == [manifest.snapshot_id]
    assert not TRAINING_SETS.has_cards(lake, "acme")
    assert not keep_card(lake, manifest, Card("read before it expired", []))
    assert not TRAINING_SETS.has_cards(lake, "acme")


def test_a_card_that_is_too_large_or_damaged_is_none(app: App, manifest: Manifest) -> None:
    lake = Lake(app.lake)
    huge = Card("huge", [Section("all", [Code("python", "x" * MOST_BYTES)])])
    assert not keep_card(lake, manifest, huge)
    for damaged in (b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "title": "t"}', b"\xff"):
        TRAINING_SETS.write_card(lake, manifest, damaged)
        assert kept_card(lake, manifest) is None


def test_a_document_has_all_of_a_card(app: App, manifest: Manifest) -> None:
    card = make_card(contents(app.lake, manifest))
    assert read_card(card_document(card)) == card
    odd = Card("\ud800", [Section("ü", [Paragraph("p", "quiet"), Grid((), [("a",)])])])
    assert card_html(read_card(card_document(odd))) == card_html(odd)
    evil = b'{"format":1,"title":"","sections":[{"title":"","blocks":[{"kind":"paragraph",'
    with pytest.raises(ValueError, match="no card"):
        read_card(evil + b'"text":"","style":"\\"><script>"}]}]}')


def test_a_card_that_somebody_changed_is_shown_escaped_or_is_none(
    app: App, manifest: Manifest
) -> None:
    """Every value of the document replaced by every odd one: no answer is a broken page."""
    bars = [Bar("b", 0.5, 0.5), Bar("d", 0.1, 0.2)]
    pictures = Pictures([Picture("n", "c", bars, True), Picture("n", "c", bars, False)])
    blocks = [Paragraph("p"), Grid(("a", "b"), [("1", "2")], frozenset({1})), Code("sh", "x")]
    whole = card_document(Card("t", [Section("s", [*blocks, pictures])]))
    document = json.loads(whole)
    changed = [
        json.dumps(replaced(document, place, value)).encode()
        for place in places(document)
        for value in ODD
    ]
    cut = [whole[:end] for end in range(0, len(whole), 7)]
    nested = [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5_000]
    shown = 0
    for one in [*changed, *cut, *nested]:
        try:
            card = read_card(one)
        except ValueError:
            continue
        shown += 1
        page = card_html(card)
        assert "<script" not in page
        assert "\u202e" not in page
        page.encode()
        card_markdown(card).encode()
        json.loads(card_document(card), parse_constant=pytest.fail)
    assert 50 < shown < len(changed)
    TRAINING_SETS.write_card(Lake(app.lake), manifest, nested[0])
    [found] = answers(app, ("current", "acme", "text/html"))
    assert (found.status_code, found.json()["code"]) == (404, "no_card")


ODD: tuple[Any, ...] = (
    *(None, True, -1, -5.0, float("inf"), float("nan"), 10**400, "1e999", "", [], {}, [[[]]]),
    *(HOSTILE, "\ud800", "\u202ea", {"kind": "grid"}),
)


def places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value stands, the whole first."""
    yield above
    if isinstance(document, dict | list):
        inner = document.items() if isinstance(document, dict) else enumerate(document)
        for key, value in inner:
            yield from places(value, (*above, key))


def replaced(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    found = holder = json.loads(json.dumps(document))
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return found
