"""What the bytes of a piece promise about its texts must be true of each of them."""

import re

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_service.readers.csv.structure import byte_traits, find_marks
from lakehouse.contracts.characters import INVISIBLE, Traits

FIELD = st.text(alphabet='ab \t\x07\x7f\\\x1fé\u200b";,', max_size=4)


@given(st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]))
@example([("a\x07", "b")], "\n")
@example([("a\tb", "b")], "\n")
@example([("a\nb", "b")], "\n")
def test_promises_hold_for_every_text(rows: list[tuple[str, str]], line_end: str) -> None:
    quoted = [['"' + text.replace('"', '""') + '"' for text in row] for row in rows]
    data = "".join(",".join(row) + line_end for row in quoted).encode()
    traits = byte_traits(find_marks(data))
    texts = [text for row in rows for text in row]
    unseen = re.compile(INVISIBLE)

    if traits.is_plain:
        assert not any("\\" in text or "\x1f" in text for text in texts)
    if traits.is_tidy:
        assert not any(unseen.search(text) or not text.isascii() for text in texts)
    if traits.is_solid:
        stripped = pl.Series(texts).str.strip_chars()
        assert stripped.to_list() == texts
    assert Traits.of(texts) & traits == traits & Traits.of(texts)


def test_ordinary_pieces_promise_everything() -> None:
    assert byte_traits(find_marks(b"u1,i1\r\nu2,i2\r\n")) == Traits(True, True, True)
    assert byte_traits(find_marks(b"u 1,i1\n")) == Traits(True, True, False)
    assert Traits.of(["a", ""]) == Traits(True, True, True)
    assert Traits.of(["a\u200b"]) == Traits(is_plain=True)
