"""Which ids are nobody's: in erasures and in the models alike."""

import re

import pytest

from lakehouse.contracts.characters import NULL_WORDS
from lakehouse.contracts.identifying import NOBODY, names_nobody
from tests.support.macros import macros


@pytest.mark.parametrize(
    "nobody",
    ["null", "NULL", " undefined ", "(not set)", "Anonymous", "0", "-", "0-0", "00 00", ""],
)
def test_what_programs_write_where_nobody_is_logged_in_is_nobody(nobody: str) -> None:
    assert names_nobody(nobody)


@pytest.mark.parametrize("somebody", ["10", "u0", "nullius", "0x0", "a-", "anonymous-7", "n"])
def test_an_id_that_only_looks_like_it_is_somebodys(somebody: str) -> None:
    assert not names_nobody(somebody)


def test_the_models_have_the_same_words() -> None:
    sql = macros("staging/owned_events.sql")["names_somebody"]("id")
    words, _, zeros = sql.partition("rlike")
    assert set(re.findall(r"'([^']+)'", words)) == NOBODY
    assert re.findall(r"'([^']+)'", zeros) == ["^[0 -]*$"]


def test_words_that_are_warned_of_are_nobodys() -> None:
    # those of spreadsheets' cells, and of exports of databases, are of no program that tracks
    others = {word for word in NULL_WORDS if word.startswith(("#", "\\"))}
    assert {word for word in NULL_WORDS if not names_nobody(word)} == others
