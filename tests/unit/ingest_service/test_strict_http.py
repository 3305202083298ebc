"""Framing that two parsers could read differently is a protocol error."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.api.strict_http import BYTES_PER_CHUNK, FREE_CHUNKS, StrictConnection

HEAD = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = HEAD + b"Content-Length: 2\r\n\r\n"


def events(data: bytes, step: int = 1_000_000) -> list[object]:
    """What a server sees of what a client sends in pieces; raises what h11 raises."""
    connection = StrictConnection(32 * 1024)
    found: list[object] = []
    for start in range(0, len(data), step):
        connection.receive_data(data[start : start + step])
        while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            found.append(event)
    return found


def body(found: list[object]) -> bytes | None:
    """The body, None when it did not come to its end."""
    if not any(isinstance(event, h11.EndOfMessage) for event in found):
        return None
    return b"".join(bytes(event.data) for event in found if isinstance(event, h11.Data))


GOOD = {
    "a length": (LENGTH + b"[]", b"[]"),
    "no body": (HEAD + b"\r\n", b""),
    "chunks": (CHUNKED + b"1\r\n[\r\n1\r\n]\r\n0\r\n\r\n", b"[]"),
    "a chunk with an extension": (CHUNKED + b'2;a="b"\r\n[]\r\n0\r\n\r\n', b"[]"),
    "trailers": (CHUNKED + b"2\r\n[]\r\n0\r\nDigest: x\r\nB: y\r\n\r\n", b"[]"),
    "HTTP/1.0": (b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n[]", b"[]"),
    "Latin-1 and tabs in a value": (HEAD + b"A: \tb\xe9\tc \r\n\r\n", b""),
}
BAD = {
    "length and coding": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    "coding and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
    "the same length twice": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n",
    "a list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n",
    "a signed length": HEAD + b"Content-Length: +2\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -2\r\n\r\n",
    "a hexadecimal length": HEAD + b"Content-Length: 0x2\r\n\r\n",
    "an endless length": HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "an empty length": HEAD + b"Content-Length:\r\n\r\n",
    "a blank before the colon": HEAD + b"Content-Length : 2\r\n\r\n",
    "a folded line": HEAD + b"Content-Length:\r\n 2\r\n\r\n",
    "a folded first line": b"POST / HTTP/1.1\r\n Host: x\r\n\r\n",
    "a bare line feed": HEAD + b"A: b\nContent-Length: 2\r\n\r\n",
    "line feeds alone": HEAD.replace(b"\r", b"") + b"\n",
    "a bare carriage return": HEAD + b"A: b\rContent-Length: 2\r\n\r\n",
    "two carriage returns": HEAD + b"A: b\r\r\n\r\n",
    "a NUL": HEAD + b"A: \x00\r\n\r\n",
    "no name": HEAD + b": x\r\n\r\n",
    "no colon": HEAD + b"abc\r\n\r\n",
    "another coding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "a disguised coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n",
    "two codings": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a coding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01",
    "two hosts": HEAD + b"Host: y\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "many fields": HEAD + b"A: b\r\n" * 101 + b"\r\n",
    "a huge head in one piece": HEAD + b"A: " + b"b" * 40_000 + b"\r\n\r\n",
    "an endless head": HEAD + b"A: " + b"b" * 300_000,
    "a chunk of no size": CHUNKED + b"\r\n",
    "a chunk of a negative size": CHUNKED + b"-2\r\n[]\r\n0\r\n\r\n",
    "a chunk of a size with 0x": CHUNKED + b"0x2\r\n[]\r\n0\r\n\r\n",
    "a blank behind a size": CHUNKED + b"2 \r\n[]\r\n0\r\n\r\n",
    "a line feed behind a size": CHUNKED + b"2\n[]\r\n0\r\n\r\n",
    "an endless size": CHUNKED + b"0" * 17 + b"2\r\n[]\r\n0\r\n\r\n",
    "a line feed in an extension": CHUNKED + b"2;a\n0\r\n[]\r\n0\r\n\r\n",
    "a long extension": CHUNKED + b"2;" + b"a" * 300 + b"\r\n[]\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"1\r\n[]\r\n0\r\n\r\n",
    "no end of a chunk": CHUNKED + b"2\r\n[]0\r\n\r\n",
    "a folded trailer": CHUNKED + b"2\r\n[]\r\n0\r\nA: b\r\n c\r\n\r\n",
    "a line feed in trailers": CHUNKED + b"2\r\n[]\r\n0\r\nA: b\n\r\n",
    "many chunks of a byte": CHUNKED + b"1\r\nx\r\n" * 2_000,
}


@pytest.mark.parametrize("step", [1_000_000, 7, 1])
@pytest.mark.parametrize(("sent", "wanted"), GOOD.values(), ids=GOOD)
def test_plain_framing_is_read(sent: bytes, wanted: bytes, step: int) -> None:
    assert body(events(sent, step)) == wanted


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD)
def test_odd_framing_is_refused(sent: bytes) -> None:
    for step in (1_000_000, 4_096, 3):
        with pytest.raises(h11.RemoteProtocolError):
            events(sent, step)


def test_many_chunks_are_fine_when_they_hold_something() -> None:
    chunk = b"%x\r\n%b\r\n" % (BYTES_PER_CHUNK, b"x" * BYTES_PER_CHUNK)
    sent = CHUNKED + chunk * (3 * FREE_CHUNKS) + b"0\r\n\r\n"
    assert body(events(sent)) == b"x" * BYTES_PER_CHUNK * 3 * FREE_CHUNKS


FIELDS = st.lists(
    st.sampled_from(
        [
            b"Content-Length: 2\r\n",
            b"content-length:2\r\n",
            b"Content-Length: 2\n",
            b"CONTENT-LENGTH : 2\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"transfer-encoding:\tchunked \r\n",
            b"A: b\r\n",
            b"A: b\n",
            b"A: b\r\r\n",
            b" folded\r\n",
        ]
    ),
    max_size=4,
)


@given(fields=FIELDS, step=st.integers(1, 40))
def test_whatever_is_accepted_has_one_framing(fields: list[bytes], step: int) -> None:
    """Property: an accepted head has CRLF alone, and at most one field that says where it ends."""
    head = HEAD + b"".join(fields) + b"\r\n"
    try:
        found = events(head, step)
    except h11.RemoteProtocolError:
        return
    assert isinstance(found[0], h11.Request)
    framing = [field for field in fields if field.lower().startswith((b"content-", b"transfer"))]
    assert len(framing) <= 1
    assert head.count(b"\n") == head.count(b"\r\n") == head.count(b"\r")
