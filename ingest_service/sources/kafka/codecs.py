"""Undoes the compression of a batch up to a limit, so that no batch takes all of the memory."""

import io
import struct
import zlib
from typing import Final

import zstandard
from kafka.codec import snappy_decode
from lz4.frame import LZ4FrameDecompressor

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
_GZIP_WINDOW: Final = 31
_XERIAL: Final = b"\x82SNAPPY\0"
_XERIAL_HEAD: Final = 16


class TooLargeError(Exception):
    """The bytes decompress to more than the limit."""


def decompressed(codec: int, data: bytes, most: int) -> bytes:
    """Return the bytes; raises `TooLargeError`, and the codec's own errors for damaged ones."""
    if codec == SNAPPY:
        if _snappy_size(data) > most:
            raise TooLargeError
        return bytes(snappy_decode(data))
    found = {GZIP: _gzip, LZ4: _lz4, ZSTD: _zstd}[codec](data, most + 1)
    if len(found) > most:
        raise TooLargeError
    return found


def _gzip(data: bytes, most: int) -> bytes:
    found = b""
    while data and len(found) < most:  # members may follow one another
        one = zlib.decompressobj(_GZIP_WINDOW)
        found += one.decompress(data, most - len(found))
        if not one.eof and len(found) < most:
            raise zlib.error("the data ends too early")
        data = one.unused_data
    return found


def _lz4(data: bytes, most: int) -> bytes:
    one = LZ4FrameDecompressor()
    found = bytes(one.decompress(data, most))
    if not one.eof and len(found) < most:
        raise RuntimeError("the data ends too early")
    return found


def _zstd(data: bytes, most: int) -> bytes:
    source = io.BytesIO(data)
    with zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True) as reader:
        return reader.read(most)


def _snappy_size(data: bytes) -> int:
    """Return the size that the blocks say they have."""
    if not data.startswith(_XERIAL):
        return _varint(data, 0)
    size, pos = 0, _XERIAL_HEAD
    while pos < len(data):
        (length,) = struct.unpack_from(">i", data, pos)
        if length <= 0:
            raise ValueError("a block without bytes")
        size += _varint(data, pos + 4)
        pos += 4 + length
    return size


def _varint(data: bytes, pos: int) -> int:
    found = shift = 0
    while True:
        byte = data[pos]
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found
        pos, shift = pos + 1, shift + 7
