"""gzip and zstd files, unpacked piece by piece up to a cap.

A megabyte can unpack to a gigabyte, so the cap counts what comes out, and what comes out may also
be no more than a multiple of what went in. Memory is a few pieces whatever a file claims: a zstd
frame that asks for a window of more than 8 MiB (RFC 9659) is refused.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import zstandard

from lakehouse.errors import EtaError

GZIP: Final = "gzip"
ZSTD: Final = "zstd"
PIECE_BYTES: Final = 1024 * 1024
MAX_RATIO: Final = 200
"""Text of any use packs to a fiftieth at best."""
FREE_BYTES: Final = 16 * 1024 * 1024
"""Up to here the ratio does not matter."""
MAX_WINDOW: Final = 8 * 1024 * 1024
ZSTD_INPUT_BYTES: Final = 1024

_MAGIC: Final = {b"\x1f\x8b": GZIP, b"\x28\xb5\x2f\xfd": ZSTD}


class UnpackedTooLargeError(EtaError):
    """A packed file holds more than it may."""


class DamagedPackError(EtaError):
    """A packed file is cut off or not what it says."""


def packing_of(path: Path) -> str | None:
    """Return how a file is packed, by its first bytes; None when it is not."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def unpacked(path: Path, packing: str, limit: int) -> Iterator[bytes]:
    """Yield the content of a packed file in pieces of at most 1 MiB.

    Raises `UnpackedTooLargeError` as soon as more than `limit` bytes have come out, or more than
    200 for each that went in, and `DamagedPackError` for a file that is damaged or goes on behind
    its end.
    """
    size = 0
    with path.open("rb") as file:
        for piece in _pieces(file, packing):
            size += len(piece)
            read = file.tell()
            if size > limit or (size > FREE_BYTES and size > MAX_RATIO * read):
                raise UnpackedTooLargeError(
                    f"the {packing} file unpacks to more than "
                    + (f"{limit:,} bytes" if size > limit else f"{MAX_RATIO} times its size"),
                    remedy="split the file, each part with the header",
                )
            yield piece


def _pieces(file: BinaryIO, packing: str) -> Iterator[bytes]:
    try:
        if packing == GZIP:
            with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                yield from iter(lambda: stream.read(PIECE_BYTES), b"")
        else:
            yield from _zstd_pieces(file)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError):
        raise DamagedPackError(
            f"the {packing} file is damaged, cut off, or needs too much memory to unpack",
            remedy="pack it again (zstd without --long and --ultra), or send it unpacked",
        ) from None


def _zstd_pieces(file: BinaryIO) -> Iterator[bytes]:
    """Frames one after the other, each complete.

    zstandard's stream reader takes a frame that is cut off for one that has ended, so frames are
    followed here. A few bytes can make a block of 128 KiB: 1 KiB in is at most 32 MiB out.
    """
    frames = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    frame, is_begun = frames.decompressobj(), False
    while data := file.read(ZSTD_INPUT_BYTES):
        while data:
            out = frame.decompress(data)
            yield from (out[n : n + PIECE_BYTES] for n in range(0, len(out), PIECE_BYTES))
            data, is_begun = frame.unused_data, True
            if frame.eof:
                frame, is_begun = frames.decompressobj(), False
            else:
                break
    if is_begun:
        raise EOFError
