"""What is looked for is found in every form, and nobody else with a similar id."""

import hashlib
import hmac
import io
import re

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.privacy import scan
from lakehouse.privacy.identifier_patterns import SHORT, IdentifierPatterns
from lakehouse.privacy.suppression import Suppressed

IDS = st.text("ab-_.@1é", min_size=1, max_size=24).filter(lambda text: text.strip() != "")
SURROUNDINGS = st.text('ab-_.@1é,;"{} \n\t|=&', max_size=6)
WORD = re.compile(r"[\w\-.@+]")


def stands(text: str, subject: str) -> bool:
    """Whether a subject stands alone somewhere in a text; found the slow way."""
    if len(subject.encode()) < SHORT:
        return False
    start = text.find(subject)
    while start >= 0:
        before, behind = text[:start][-1:], text[start + len(subject) :]
        behind = behind.removeprefix(".")[:1]
        if not WORD.match(before) and not WORD.match(behind):
            return True
        start = text.find(subject, start + 1)
    return False


@settings(deadline=None, max_examples=40)
@given(IDS, st.lists(st.tuples(SURROUNDINGS, st.booleans(), SURROUNDINGS), max_size=5))
def test_mentions_are_found_as_the_slow_way_does(subject: str, parts: list) -> None:
    texts = [f"{a}{subject if there else ''}{b}" for a, there, b in parts]
    patterns = IdentifierPatterns([subject])
    expected = {row for row, text in enumerate(texts) if stands(text, subject)}
    assert patterns.rows(pa.array(texts, pa.string())) == expected
    sliced = pa.array(["x", *texts], pa.string()).slice(1)
    assert patterns.rows(sliced) == expected
    assert patterns.values(pl.Series(texts, dtype=pl.String)).tolist() == [
        text == subject for text in texts
    ]


@settings(deadline=None, max_examples=40)
@given(IDS, SURROUNDINGS, SURROUNDINGS, st.integers(1, 40))
def test_streams_are_searched_whatever_the_pieces(
    subject: str, before: str, behind: str, piece: int
) -> None:
    text = f"{before}{subject}{behind}{subject}".encode()
    whole = scan.PIECE
    try:
        expected = scan.count_stream(io.BytesIO(text), IdentifierPatterns([subject]))
        scan.PIECE = piece
        assert scan.count_stream(io.BytesIO(text), IdentifierPatterns([subject])) == expected
    finally:
        scan.PIECE = whole
    assert bool(expected) == stands(text.decode(), subject)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "cp1252"])
def test_other_encodings_are_known(encoding: str) -> None:
    subject = "kundin-müller-0123456789"
    assert IdentifierPatterns([subject]).count(f"x;{subject};y".encode(encoding)) >= 1
    assert not IdentifierPatterns([subject]).count(f"x{subject}y".encode(encoding))


def test_a_mention_is_nobody_whose_address_is_longer() -> None:
    patterns = IdentifierPatterns(["anna.schmidt@example.com"])
    texts = [
        "susanna.schmidt@example.com",
        "of anna.schmidt@example.com.",
        "?u=anna.schmidt@example.com&x",
    ]
    assert patterns.rows(pa.array(texts)) == {1, 2}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.none() | IDS, min_size=1, max_size=8), st.sets(IDS, max_size=4), st.data())
def test_the_list_matches_whom_it_holds(users: list, listed: set, data) -> None:
    def hashed(text: str) -> str:
        return hmac.new(b"key", text.encode(), hashlib.sha256).hexdigest()

    size = len(users)
    other = data.draw(st.lists(st.none() | IDS, min_size=size, max_size=size))
    tied = data.draw(st.sets(IDS, max_size=4)) - listed
    suppressed = Suppressed(1, "key", frozenset(map(hashed, listed)), frozenset(map(hashed, tied)))
    columns = [
        pl.Series("user_id", users, dtype=pl.String),
        pl.Series("anonymous_id", other, dtype=pl.String),
    ]
    expected = [
        user in listed or anonymous in listed or (user is None and anonymous in tied)
        for user, anonymous in zip(users, other, strict=True)
    ]
    assert suppressed.matches(columns).to_list() == expected
    assert suppressed.matches(columns[::-1]).to_list() == expected
