"""JSON and nothing but JSON, beside the published suite and Python's lenient parser."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.strict_json import (
    Number,
    StrictDecoder,
    StrictJsonError,
    dumps,
    loads,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text('ab"\\{[', max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


def test_the_suite(real_data: Path) -> None:
    folder = real_data / "suites" / "JSONTestSuite" / "test_parsing"
    accepted, refused, either = [], [], []
    for file in sorted(folder.glob("*.json")):
        try:
            loads(file.read_bytes())
        except StrictJsonError:
            refused.append(file.name[0])
        else:
            accepted.append(file.name[0])
        either.append(file.name[0])

    assert (accepted.count("y"), refused.count("y")) == (95, 0)
    assert (accepted.count("n"), refused.count("n")) == (0, 188)
    assert either.count("i") == 35


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_what_python_writes_is_read_and_written_back(
    value: Any, indent: int | None, is_ascii: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    assert json.loads(dumps(loads(text.encode()).value)) == value


@given(st.text(alphabet='{}[]",:0123456789.eE+- \\untrflsaINy', max_size=12))
def test_any_text_is_read_like_python_or_refused(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(StrictJsonError):
            loads(text.encode())
        return
    try:
        found = loads(text.encode()).value
    except StrictJsonError:
        assert any(word in text for word in ("NaN", "Infinity", "\\u")), text
    else:
        assert _same(json.loads(dumps(found)), expected)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b'{"a": -Infinity}', id="Infinity"),
        pytest.param(b"{} {}", id="trailing value"),
        pytest.param(b"1\x00", id="trailing NUL"),
        pytest.param(b'"\xff"', id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf1", id="byte order mark"),
        pytest.param(b'"\\ud800"', id="half a pair"),
        pytest.param(b'{"\\udc00": 1}', id="half a pair in a name"),
        pytest.param(b"[" * 65 + b"]" * 65, id="too deep"),
        pytest.param(b"[" * 200_000, id="much too deep"),
        pytest.param(b'{"a":' * 200_000, id="objects much too deep"),
        pytest.param(b" " * (4 * 1024 * 1024) + b"1", id="too large"),
        pytest.param(b"", id="nothing"),
        pytest.param("１".encode(), id="other digits"),
        pytest.param(b"\x0b1", id="other white space"),
    ],
)
def test_refused(text: bytes) -> None:
    with pytest.raises(StrictJsonError):
        loads(text)


@pytest.mark.parametrize("bad", ['{"a": NaN}', "-Infinity", '["\\udc00"]', '{"\\ud83d": 1}'])
def test_what_makes_one_value_no_json_leaves_its_end_known(bad: str) -> None:
    decoder = StrictDecoder()
    with pytest.raises(StrictJsonError) as caught:
        decoder.value_at(f"[{bad},1]", 1)
    assert caught.value.end == len(bad) + 1
    assert decoder.value_at('{"a": 1}').value == {"a": "1"}, "the next value is not to blame"


def test_numbers_keep_their_digits() -> None:
    for text in ("1.10", "1e400", "-0", "123456789012345678901234567890", "0.1E+2"):
        value = loads(text.encode()).value
        assert (type(value), str(value), dumps([value])) == (Number, text, f"[{text}]")


def test_repeated_names_are_told_and_the_last_counts() -> None:
    for text, repeated in (
        ('{"a": 1, "a": 2}', True),
        ('[{"b": {"a": 1, "\\u0061": 2}}]', True),
        ('{"a": {"b": 1}, "b": {"a": 1}}', False),
    ):
        assert loads(text.encode()).has_repeated_name is repeated
    assert loads(b'{"a": 1, "a": 2}').value == {"a": "2"}


def test_brackets_within_texts_are_not_depth() -> None:
    loads(json.dumps(["[{" * 500, '\\"[' * 500]).encode())
    loads(json.dumps([[]] * 500).encode())


def _same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, (int, float)):
        return math.isclose(found, expected) or found == expected
    return bool(found == expected) or json.dumps(found) == json.dumps(expected)
