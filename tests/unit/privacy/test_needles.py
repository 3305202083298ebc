"""What is looked for is found in every form, and nobody else with a similar id."""

import hashlib
import hmac
import io

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.privacy import scan
from lakehouse.privacy.needles import LONG, SEPARATORS, SHORT, Needles
from lakehouse.privacy.suppression import Suppressed

IDS = st.text("ab-_.@1é", min_size=1, max_size=24).filter(lambda text: text.strip() != "")
SURROUNDINGS = st.text('ab-_.@1é,;"{} \n\t|=&', max_size=6)


def stands(text: bytes, subject: bytes) -> bool:
    """Whether a subject is somewhere in bytes and, if it is not long, alone; found the slow way."""
    start = text.find(subject)
    while start >= 0:
        end = start + len(subject)
        before = start == 0 or text[start - 1] in SEPARATORS
        behind = end == len(text) or text[end] in SEPARATORS
        if len(subject) >= LONG or (before and behind):
            return True
        start = text.find(subject, start + 1)
    return False


@settings(deadline=None, max_examples=40)
@given(IDS, st.lists(st.tuples(SURROUNDINGS, st.booleans(), SURROUNDINGS), max_size=5))
def test_values_are_searched_as_the_slow_way_does(subject: str, parts: list) -> None:
    texts = [f"{a}{subject if there else ''}{b}" for a, there, b in parts]
    if len(subject.encode()) < SHORT:
        expected = {row for row, text in enumerate(texts) if text == subject}
    else:
        mine = subject.encode()
        expected = {row for row, text in enumerate(texts) if stands(text.encode(), mine)}
    needles = Needles([subject])
    assert needles.rows(pa.array(texts, pa.string()), of_subjects=True) == expected
    sliced = pa.array(["x", *texts], pa.string()).slice(1)
    assert needles.rows(sliced, of_subjects=True) == expected


@settings(deadline=None, max_examples=40)
@given(IDS, SURROUNDINGS, SURROUNDINGS, st.integers(1, 40))
def test_streams_are_searched_whatever_the_pieces(
    subject: str, before: str, behind: str, piece: int
) -> None:
    text = f"{before}{subject}{behind}{subject}".encode()
    is_there = len(subject.encode()) >= SHORT and stands(text, subject.encode())
    whole = scan.PIECE
    try:
        scan.PIECE = piece
        found = scan._count(io.BytesIO(text), Needles([subject]))
    finally:
        scan.PIECE = whole
    assert bool(found) == is_there


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "cp1252"])
def test_other_encodings_are_known(encoding: str) -> None:
    subject = "kundin-müller-0123456789"
    assert Needles([subject]).count(f"x;{subject};y".encode(encoding)) >= 1


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


def test_a_refused_record_is_searched_for_everybody_on_the_list() -> None:
    def hashed(text: str) -> str:
        return hmac.new(b"key", text.encode(), hashlib.sha256).hexdigest()

    listed = Suppressed(1, "key", frozenset({hashed("u-1"), hashed("a:b")}))
    records = [b'{"user":"u-1"}', b"x,u-1,y\n", b"x,u-10,y", b"id=u-1&x=2", b"a:b,c", b"a,b"]
    assert listed.mentioned(records) == [True, True, False, True, True, False]
