"""The blocks of an Avro object container file, unpacked within bounds.

The library that reads records unpacks a block whatever it claims to hold, so the container, which
is a head and blocks with their length before them, is read here.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from ingest_service.unpack import (
    BZIP2,
    FREE_BYTES,
    MAX_RATIO,
    XZ,
    ZSTD,
    DamagedPackError,
    UnpackedTooLargeError,
    unpacked_body,
)
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

MAGIC: Final = b"Obj\x01"
MOST_BLOCK_BYTES: Final = 64 * 1024 * 1024
MOST_SCHEMA_BYTES: Final = 4 * 1024 * 1024
_SYNC_BYTES: Final = 16
_CHECK_BYTES: Final = 4
_CODECS: Final = {"bzip2": BZIP2, "xz": XZ, "zstandard": ZSTD}


@dataclass(frozen=True, slots=True)
class Block:
    """Records of a file as one run of bytes; `first`: the number of the first, from 1."""

    first: int
    count: int
    data: bytes


class Container:
    """An open file: `schema` as its head has it, then `blocks`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            head = self._head()
            text = head.get("avro.schema", b"")
            self.schema: Any = json.loads(text)
            self.codec = head.get("avro.codec", b"null").decode("latin-1")
            if self.codec not in ("null", "deflate", "snappy", *_CODECS):
                raise damaged_avro(f"its blocks are packed with {self.codec[:20]!r}")
            self._sync = self._bytes(_SYNC_BYTES)
        except (ValueError, RecursionError):
            self._file.close()
            raise damaged_avro("its schema cannot be read") from None
        except BaseException:
            self._file.close()
            raise

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks; raises `FileRefusedError` where the file is damaged or too large."""
        first = 1
        while (count := _long(self._file, at_end=True)) is not None:
            size = _long(self._file) or 0
            if count < 0 or not 0 <= size <= MOST_BLOCK_BYTES:
                raise damaged_avro("a block says that it has an impossible size")
            data = self._unpacked(self._bytes(size))
            if self._bytes(_SYNC_BYTES) != self._sync:
                raise damaged_avro("a block does not end where it says")
            if count > len(data):
                raise damaged_avro("a block says that it has more records than bytes")
            yield Block(first, count, data)
            first += count

    def _head(self) -> dict[str, bytes]:
        if self._file.read(len(MAGIC)) != MAGIC:
            raise damaged_avro("it does not begin as an Avro file does")
        found: dict[str, bytes] = {}
        while count := _long(self._file):
            if count < 0:
                count = -count
                _long(self._file)
            for _ in range(min(count, 1_000)):
                name = self._bytes(_long(self._file) or 0).decode("utf-8", "replace")
                found[name] = self._bytes(_long(self._file) or 0)
        return found

    def _bytes(self, size: int) -> bytes:
        if not 0 <= size <= MOST_BLOCK_BYTES:
            raise damaged_avro("a part of it says that it has an impossible size")
        data = self._file.read(size)
        if len(data) < size:
            raise damaged_avro("it is cut off")
        return data

    def _unpacked(self, data: bytes) -> bytes:
        most = min(MOST_BLOCK_BYTES, max(FREE_BYTES, MAX_RATIO * len(data)))
        try:
            match self.codec:
                case "null":
                    return data
                case "deflate":
                    return _inflated(data, most)
                case "snappy":
                    return _snappy(data, most)
                case codec:
                    return unpacked_body(data, _CODECS[codec], most)
        except UnpackedTooLargeError:
            raise FileRefusedError(
                FileFault.FILE_TOO_LARGE,
                f"a block of the Avro file unpacks to more than {most:,} bytes",
                remedy="write it with smaller blocks",
            ) from None
        except (zlib.error, DamagedPackError):
            raise damaged_avro("a block cannot be unpacked") from None


def damaged_avro(why: str) -> FileRefusedError:
    """Return what to raise for a file that breaks the rules of its format."""
    return FileRefusedError(
        FileFault.DAMAGED_FILE,
        f"the Avro file is damaged: {why}",
        remedy="write and send it again",
    )


def _inflated(data: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    found = unpacker.decompress(data, most + 1)
    if len(found) > most:
        raise UnpackedTooLargeError("too large", remedy="")
    return found


def _snappy(data: bytes, most: int) -> bytes:
    import pyarrow as pa

    body = data[:-_CHECK_BYTES]
    size, shift = 0, 0
    for byte in body[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > most:
        raise UnpackedTooLargeError("too large", remedy="")
    try:
        found: bytes = pa.decompress(body, decompressed_size=size, codec="snappy", asbytes=True)
    except (pa.ArrowException, OSError, ValueError):
        raise damaged_avro("a block cannot be unpacked") from None
    if zlib.crc32(found) != int.from_bytes(data[-_CHECK_BYTES:], "big"):
        raise damaged_avro("the checksum of a block is wrong")
    return found


def _long(file: IO[bytes], *, at_end: bool = False) -> int | None:
    """Read a number as Avro writes it; None at the end of the file where it may end."""
    value = shift = 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return (value >> 1) ^ -(value & 1)
        shift += 7
        if shift > 63:
            raise damaged_avro("a number in it is too long")
    if at_end and not shift:
        return None
    raise damaged_avro("it is cut off")
