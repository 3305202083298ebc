"""gzip, zstd, bzip2 and xz, unpacked piece by piece in time and memory that follow what came in.

Every packed body goes through `Unpacker`: of events, webhooks and uploads. A megabyte can unpack to
a gigabyte, so what comes out is counted while it comes, and may be no more than a multiple of what
went in. A megabyte can also be fifty thousand gzip members that hold nothing: each costs a
decompressor, so there may be only so many per byte. Nothing is looked at twice: input goes in as
small slices, because what a decompressor does not use of a slice is copied. A zstd frame that asks
for a window of more than 8 MiB (RFC 9659) is refused.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import zstandard

from lakehouse.errors import EtaError

GZIP: Final = "gzip"
ZSTD: Final = "zstd"
BZIP2: Final = "bz2"
XZ: Final = "xz"
PIECE_BYTES: Final = 1024 * 1024
MAX_RATIO: Final = 200
"""Text of any use packs to a fiftieth at best."""
FREE_BYTES: Final = 16 * 1024 * 1024
"""Up to here the ratio does not matter."""
FREE_PARTS: Final = 1_000
"""So many members or frames any body may have, and one more …"""
BYTES_PER_PART: Final = 1_000
"""… for each so many bytes of it."""
MAX_WINDOW: Final = 8 * 1024 * 1024
MAX_XZ_BYTES: Final = 80 * 1024 * 1024
"""What `xz -9` needs to unpack, and a little more."""

_INPUT_BYTES: Final = {GZIP: 8 * 1024, ZSTD: 512, BZIP2: 8 * 1024, XZ: 8 * 1024}
"""Slices that go in. A few bytes of zstd make a block of 128 KiB: 512 are at most 16 MiB out."""
_READ_BYTES: Final = 256 * 1024
_IDLE_BYTES: Final = 4 * 1024 * 1024
_GZIP_WINDOW: Final = 31
_MAGIC: Final = {
    b"\x1f\x8b": GZIP,
    b"\x28\xb5\x2f\xfd": ZSTD,
    b"\xfd7zXZ\x00": XZ,
    **{b"BZh%d1AY&SY" % level: BZIP2 for level in range(1, 10)},
}
_MAGIC_BYTES: Final = 10
_ERRORS: Final = (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError, ValueError)


class UnpackedTooLargeError(EtaError):
    """A packed body holds more than it may, or consists of too many parts."""


class DamagedPackError(EtaError):
    """A packed body is cut off or not what it says."""


class Unpacker:
    """Unpacks one body: gzip members, zstd frames or streams, one after the other, each complete.

    Empty parts, and zeros between all parts but zstd's, are legal. Work is linear in what goes in
    and comes out; memory is 16 MiB at most, of xz 80 MiB, whatever a body claims.
    """

    def __init__(self, packing: str, limit: int) -> None:
        self._packing = packing
        self._limit = limit
        self._read = self._size = self._parts = 0
        self._part: Any = None  # both libraries call what they need alike and name no type
        self._unpack: Callable[[bytes], Iterator[bytes]]
        self._new_part: Callable[[], Any]
        if packing == GZIP:
            self._unpack, self._new_part = self._gzip, lambda: zlib.decompressobj(_GZIP_WINDOW)
        elif packing == BZIP2:
            self._unpack, self._new_part = self._stream, bz2.BZ2Decompressor
        elif packing == XZ:
            self._unpack = self._stream
            self._new_part = lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_XZ_BYTES)
        else:
            frames = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
            self._unpack, self._new_part = self._zstd, frames.decompressobj

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what comes out of the next bytes of the body.

        Raises `UnpackedTooLargeError` as soon as more than the limit has come out, more than 200
        bytes for each that went in, or more parts than one per 1,000 bytes and 1,000; and
        `DamagedPackError`.
        """
        step = _INPUT_BYTES[self._packing]
        try:
            for start in range(0, len(data), step):
                piece = data[start : start + step]
                self._read += len(piece)
                for out in self._unpack(piece):
                    self._count(len(out))
                    yield out
        except _ERRORS:
            raise self._damaged() from None

    def finish(self) -> None:
        """Raise `DamagedPackError` when the body is empty or was cut off."""
        if self._part is not None or not self._parts:
            raise self._damaged()

    def _gzip(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._part is None:
                if self._parts:
                    data = data.lstrip(b"\0")  # gzip pads to the blocks of a tape
                    if not data:
                        return
                self._begin()
            member = self._part
            out = member.decompress(data, PIECE_BYTES)
            yield out
            while not member.eof and (member.unconsumed_tail or len(out) == PIECE_BYTES):
                out = member.decompress(member.unconsumed_tail, PIECE_BYTES)
                yield out
            data = self._rest()

    def _stream(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._part is None:
                if self._parts:
                    data = data.lstrip(b"\0")
                    if not data:
                        return
                self._begin()
            stream = self._part
            yield stream.decompress(data, PIECE_BYTES)
            while not stream.eof and not stream.needs_input:
                yield stream.decompress(b"", PIECE_BYTES)
            data = self._rest()

    def _zstd(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._part is None:
                self._begin()
            yield self._part.decompress(data)
            data = self._rest()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > FREE_PARTS + self._read // BYTES_PER_PART:
            raise UnpackedTooLargeError(
                f"the {self._packing} body consists of more than {self._parts - 1:,} parts, too "
                "many for its size",
                remedy="pack it as one",
            )
        self._part = self._new_part()

    def _rest(self) -> bytes:
        """Return what of a slice is behind the end of a part."""
        if not self._part.eof:
            return b""
        rest: bytes = self._part.unused_data
        self._part = None
        return rest

    def _count(self, size: int) -> None:
        self._size += size
        is_over = self._size > self._limit
        if is_over or (self._size > FREE_BYTES and self._size > MAX_RATIO * self._read):
            raise UnpackedTooLargeError(
                f"the {self._packing} body unpacks to more than "
                + (f"{self._limit:,} bytes" if is_over else f"{MAX_RATIO} times its size"),
                remedy="split what it holds; of a CSV file, each part with the header",
            )

    def _damaged(self) -> DamagedPackError:
        return DamagedPackError(
            f"the {self._packing} body is damaged, cut off, or needs too much memory to unpack",
            remedy="pack it again (zstd without --long and --ultra, xz at -9 at most), or send it "
            "unpacked",
        )


def packing_of(path: Path) -> str | None:
    """Return how a file is packed, by its first bytes; None when it is not."""
    with path.open("rb") as file:
        start = file.read(_MAGIC_BYTES)
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def unpacked(path: Path, packing: str, limit: int) -> Iterator[bytes]:
    """Yield the content of a packed file in pieces of about 1 MiB.

    Raises what `Unpacker` raises. A file that holds little yields empty pieces now and then, so
    that who asks for them may stop.
    """
    unpacker = Unpacker(packing, limit)
    pending, idle = bytearray(), 0
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            idle += len(data)
            for out in unpacker.feed(data):
                pending += out
                if len(pending) >= PIECE_BYTES:
                    yield bytes(pending)
                    pending, idle = bytearray(), 0
            if idle >= _IDLE_BYTES:
                yield bytes(pending)
                pending, idle = bytearray(), 0
    unpacker.finish()
    yield bytes(pending)


def unpacked_body(body: bytes, packing: str, limit: int) -> bytes:
    """Return the content of a packed body; raises what `Unpacker` raises."""
    unpacker = Unpacker(packing, limit)
    content = b"".join(unpacker.feed(body))
    unpacker.finish()
    return content
