"""Mutations of a corpus: bytes, tokens and pieces of other entries."""

import random
from collections.abc import Callable, Sequence
from typing import Final

MAX_BYTES: Final = 30_000

TOKENS: Final = (
    *(b'"', b'""', b",", b";", b"\t", b"\r", b"\n", b"\r\n", b"\x00", b"\xff", b"\xef\xbb\xbf"),
    *(b"\xff\xfe", b"\xfe\xff", b"{", b"}", b"[", b"]", b":", b"null", b"true", b"-0", b"1e999"),
    *(b"NaN", b"Infinity", b"\\ud800", b"\\u0000", b"\\", b"{}", b"[]", b"[" * 70, b'{"a":' * 70),
    *(b"user_id", b"item_id", b"timestamp", b"interaction_type", b'"event_id"', b'"context"'),
    *(b'"type":"track"', b'"batch":[', b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b" ", b"\xe2\x80\xa8"),
    *(b"9" * 30, b"=cmd()", b"\xc3\x28", b"1767225600000", b"'", b"\xe9", b"\x85"),
)


def mutated(draw: random.Random, corpus: Sequence[bytes]) -> bytes:
    """Return an entry of the corpus after one to eight changes."""
    data = bytearray(draw.choice(corpus))
    for _ in range(draw.randint(1, 8)):
        data = draw.choice(_CHANGES)(draw, data, corpus)
    return bytes(data[:MAX_BYTES])


def _at(draw: random.Random, data: bytearray) -> int:
    return draw.randint(0, len(data))


def _flip(draw: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    if data:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return data


def _insert(draw: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    at = _at(draw, data)
    data[at:at] = draw.choice(TOKENS)
    return data


def _replace(draw: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    at, token = _at(draw, data), draw.choice(TOKENS)
    data[at : at + len(token)] = token
    return data


def _cut(draw: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    start = _at(draw, data)
    del data[start : start + draw.randint(1, 40)]
    return data


def _end(draw: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    return data[: _at(draw, data)]


def _repeat(draw: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    start = _at(draw, data)
    piece = data[start : start + draw.randint(1, 200)]
    data[start:start] = piece * draw.randint(1, 20)
    return data


def _splice(draw: random.Random, data: bytearray, corpus: Sequence[bytes]) -> bytearray:
    other = draw.choice(corpus)
    return data[: _at(draw, data)] + other[draw.randint(0, len(other)) :]


_CHANGES: Final[tuple[Callable[[random.Random, bytearray, Sequence[bytes]], bytearray], ...]] = (
    _flip,
    _insert,
    _replace,
    _cut,
    _end,
    _repeat,
    _splice,
)
