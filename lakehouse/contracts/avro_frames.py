"""What stands before the record of an Avro message: which schema it was written with.

Confluent's frame is a zero byte and the schema's id, 4 bytes. AWS Glue's is the byte 3, one that
says whether the record is compressed (0: it is not, 5: by zlib), and the id of the schema's
version, a UUID of 16 bytes.
"""

import zlib
from typing import Final, NamedTuple
from uuid import UUID

CONFLUENT: Final = b"\0"
GLUE: Final = b"\3"
CONFLUENT_BYTES: Final = 5
GLUE_BYTES: Final = 18
PLAIN: Final = 0
ZLIB: Final = 5


class FrameError(ValueError):
    """Bytes that are no message of either kind, and why."""


class Frame(NamedTuple):
    """A message's schema, Confluent's id or Glue's, and its record."""

    schema: int | UUID
    record: bytes


def is_framed(value: bytes) -> bool:
    """Whether a message says that it is Avro; no text of JSON begins so."""
    return value[:1] in (CONFLUENT, GLUE)


def frame_of(value: bytes) -> Frame:
    """Take a message apart; a compressed one is to be `unpacked` first. Raises `FrameError`."""
    is_confluent = value[:1] == CONFLUENT
    if len(value) <= (CONFLUENT_BYTES if is_confluent else GLUE_BYTES):
        raise FrameError("the message is too short for a schema id")
    if is_confluent:
        return Frame(int.from_bytes(value[1:CONFLUENT_BYTES], "big"), value[CONFLUENT_BYTES:])
    if value[1] != PLAIN:
        raise FrameError("the message's record is not unpacked")
    return Frame(UUID(bytes=value[2:GLUE_BYTES]), value[GLUE_BYTES:])


def unpacked(value: bytes, most: int) -> bytes:
    """Return a message with its record as it was before its sender compressed it.

    What is kept of it, in quarantine too, can then be searched for a person. Raises `FrameError`
    for a record that cannot be unpacked, or is larger than `most` bytes when it is.
    """
    if value[:1] != GLUE or len(value) <= GLUE_BYTES or value[1] == PLAIN:
        return value
    if value[1] != ZLIB:
        raise FrameError(f"the message's record is compressed in an unknown way ({value[1]})")
    unpacking = zlib.decompressobj()
    try:
        record = unpacking.decompress(value[GLUE_BYTES:], most + 1)
    except zlib.error:
        raise FrameError("the message's record cannot be unpacked") from None
    if len(record) > most:
        raise FrameError(f"the message's record is larger than {most:,} bytes when unpacked")
    if not unpacking.eof or unpacking.unused_data:
        raise FrameError("the message's record is cut, or something follows it")
    return GLUE + bytes([PLAIN]) + value[2:GLUE_BYTES] + record
