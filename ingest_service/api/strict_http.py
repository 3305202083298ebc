"""HTTP/1.1 framing without leniency: what two parsers could read differently is refused.

A proxy in front and this service must see the same requests in the same bytes, else a client can
hide one request in another (request smuggling). h11 follows RFC 9112 and tolerates what it lets a
server tolerate: folded lines, bare line feeds, a length beside a transfer coding, the same length
twice, blanks behind a chunk's size. Nobody sends these in earnest. Each is a protocol error here,
after which the connection is closed. So are heads of too many fields and bodies of too many chunks
for their size, which cost time and hold nothing.
"""

import re
from typing import Final

import h11
from h11._receivebuffer import ReceiveBuffer

MAX_FIELDS: Final = 100
FREE_CHUNKS: Final = 1_000
"""So many chunks any body may have, and one more …"""
BYTES_PER_CHUNK: Final = 64
"""… for each so many bytes of it."""

_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e]{0,256})?\r\n")
_VERSION: Final = re.compile(rb" HTTP/1\.([01])$")
_DIGITS: Final = re.compile(rb"[0-9]{1,20}")
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class StrictConnection(h11.Connection):
    """A server's side of a connection that takes no odd framing."""

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__(h11.SERVER, max_head_bytes)
        self._receive_buffer = StrictBuffer(max_head_bytes)


class StrictBuffer(ReceiveBuffer):
    """What has come of a request; raises `h11.LocalProtocolError` where h11 would be lenient.

    h11 takes heads, trailers and the lines before chunks out of it, and nothing else line by line.
    """

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__()
        self._max_head_bytes = max_head_bytes
        self._is_trailer = False
        self._chunks = self._chunk_bytes = 0

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Return the lines of a head or of trailers, None as long as they are not complete."""
        before = len(self)
        lines = super().maybe_extract_lines()
        if lines is None:
            return None
        size = before - len(self)
        if size != sum(map(len, lines)) + 2 * len(lines) + 2:
            raise h11.LocalProtocolError("a line that ends without a carriage return")
        if size > self._max_head_bytes or len(lines) > MAX_FIELDS + 1:
            raise h11.LocalProtocolError("too large a head", error_status_hint=431)
        if any(line[:1] in b" \t" or _CONTROLS.search(line) for line in lines):
            raise h11.LocalProtocolError("a folded line, or one with control characters")
        if not self._is_trailer:
            _check_framing(lines)
        self._is_trailer = False
        self._chunks = self._chunk_bytes = 0
        return lines

    def maybe_extract_next_line(self) -> bytearray | None:
        """Return the line before a chunk, None as long as it is not complete."""
        line = super().maybe_extract_next_line()
        if line is None:
            return None
        chunk = _CHUNK.fullmatch(line)
        if chunk is None:
            raise h11.LocalProtocolError("a chunk's size is malformed")
        size = int(chunk[1], 16)
        self._is_trailer = not size
        self._chunks += 1
        self._chunk_bytes += size
        if self._chunks > FREE_CHUNKS + self._chunk_bytes // BYTES_PER_CHUNK:
            raise h11.LocalProtocolError("too many chunks for the size of the body")
        return line


def _check_framing(lines: list[bytearray]) -> None:
    """Raise when it is not certain where the body of a request ends."""
    version = _VERSION.search(lines[0]) if lines else None
    if version is None:
        raise h11.LocalProtocolError("not a request of HTTP/1.0 or HTTP/1.1")
    lengths, codings = 0, 0
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name == b"content-length":
            lengths += 1
            if not _DIGITS.fullmatch(value.strip(b" \t")):
                raise h11.LocalProtocolError("bad Content-Length")
        elif name == b"transfer-encoding":
            codings += 1
    if lengths + codings > 1:
        raise h11.LocalProtocolError("more than one of Content-Length and Transfer-Encoding")
    if codings and version[1] == b"0":
        raise h11.LocalProtocolError("Transfer-Encoding in a request of HTTP/1.0")
