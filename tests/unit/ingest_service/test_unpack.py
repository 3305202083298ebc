"""Packed files: what comes out is what went in, up to the cap, in little memory."""

import bz2
import gzip
import io
import lzma
import os
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service import unpack
from ingest_service.unpack import (
    DamagedPackError,
    UnpackedTooLargeError,
    packing_of,
    unpacked,
    unpacked_body,
)


def zstd(data: bytes) -> bytes:
    """A zstd frame."""
    return zstandard.ZstdCompressor(level=1).compress(data)


PACKERS = [
    pytest.param(gzip.compress, "gzip", id="gzip"),
    pytest.param(zstd, "zstd", id="zstd"),
    pytest.param(bz2.compress, "bz2", id="bzip2"),
    pytest.param(lzma.compress, "xz", id="xz"),
]


def bomb(packing: str, size: int) -> bytes:
    """Zeros, packed as they are made."""
    packed = io.BytesIO()
    piece = bytes(1024 * 1024)
    if packing == "gzip":
        with gzip.GzipFile(fileobj=packed, mode="wb") as file:
            for _ in range(size // len(piece)):
                file.write(piece)
    else:
        with zstandard.ZstdCompressor(level=19).stream_writer(packed, closefd=False) as file:
            for _ in range(size // len(piece)):
                file.write(piece)
    return packed.getvalue()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(st.binary(max_size=5_000), min_size=1, max_size=4), is_gzip=st.booleans())
def test_one_or_several_parts_come_out_as_they_went_in(
    tmp_path: Path, parts: list[bytes], is_gzip: bool
) -> None:
    pack, packing = (gzip.compress, "gzip") if is_gzip else (zstd, "zstd")
    path = tmp_path / "packed"
    path.write_bytes(b"".join(pack(part) for part in parts))

    assert packing_of(path) == packing
    assert b"".join(unpacked(path, packing, 1_000_000)) == b"".join(parts)


@pytest.mark.parametrize(("pack", "packing"), PACKERS)
def test_every_way_of_being_cut_or_followed_by_something_is_damage(
    tmp_path: Path, pack: object, packing: str
) -> None:
    path = tmp_path / "packed"
    whole = pack(b"user_id,item_id\n" * 50)  # type: ignore[operator]
    for damaged in (
        *(whole[:cut] for cut in range(4, len(whole))),
        whole + b"behind",
        whole + whole[:9],
    ):
        path.write_bytes(damaged)
        with pytest.raises(DamagedPackError):
            list(unpacked(path, packing, 1_000_000))


@pytest.mark.parametrize(("pack", "packing"), PACKERS)
def test_limit_is_exact(tmp_path: Path, pack: object, packing: str) -> None:
    path = tmp_path / "packed"
    path.write_bytes(pack(b"x" * 5_000))  # type: ignore[operator]

    assert sum(map(len, unpacked(path, packing, 5_000))) == 5_000
    with pytest.raises(UnpackedTooLargeError):
        list(unpacked(path, packing, 4_999))


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_bomb_is_stopped_early_and_in_little_memory(tmp_path: Path, packing: str) -> None:
    path = tmp_path / "packed"
    path.write_bytes(bomb(packing, 256 * 1024 * 1024))
    out = 0
    tracemalloc.start()
    with pytest.raises(UnpackedTooLargeError, match="times its size"):  # noqa: PT012
        for piece in unpacked(path, packing, 10**12):
            out += len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert out <= max(unpack.FREE_BYTES, unpack.MAX_RATIO * path.stat().st_size)
    assert peak < 80 * 1024 * 1024


def test_zstd_window_larger_than_eight_megabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "packed"
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    data = bytes(range(256)) * 100_000
    path.write_bytes(zstandard.ZstdCompressor(compression_params=parameters).compress(data))
    with pytest.raises(DamagedPackError):
        list(unpacked(path, "zstd", 10**9))


def test_plain_file_is_not_packed(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    for content in (b"", b"a,b\n", b"\x1f"):
        path.write_bytes(content)
        assert packing_of(path) is None


class Counter:
    """A decompressor that counts its calls and the bytes they were given."""

    calls = 0
    given = 0

    def __init__(self, real: object) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def decompress(self, data: bytes, *most: int) -> bytes:
        Counter.calls += 1
        Counter.given += len(data)
        found: bytes = self._real.decompress(data, *most)  # type: ignore[attr-defined]
        return found


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Counter]:
    """Counts what the decompressors of a test are asked to do."""
    new_member, new_frames = zlib.decompressobj, zstandard.ZstdDecompressor
    Counter.calls = Counter.given = 0

    class Frames:
        def __init__(self, **options: int) -> None:
            self._frames = new_frames(**options)

        def decompressobj(self) -> Counter:
            return Counter(self._frames.decompressobj())

    monkeypatch.setattr(unpack.zlib, "decompressobj", lambda bits: Counter(new_member(bits)))
    monkeypatch.setattr(unpack.zstandard, "ZstdDecompressor", Frames)
    return Counter


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
@pytest.mark.parametrize("content", [b"", b"x" * 50], ids=["empty", "tiny"])
def test_work_is_linear_in_what_comes_in(
    counted: type[Counter], packing: str, content: bytes
) -> None:
    part = gzip.compress(content) if packing == "gzip" else zstd(content)
    body = part * (1024 * 1024 // len(part))
    with pytest.raises(UnpackedTooLargeError, match="too many for its size"):
        unpacked_body(body, packing, 5 * 1024 * 1024)
    assert counted.calls <= unpack.FREE_PARTS + len(body) // unpack.BYTES_PER_PART + 200
    assert counted.given <= 20 * len(body)

    honest = part * unpack.FREE_PARTS
    counted.calls = counted.given = 0
    assert unpacked_body(honest, packing, 10**6) == content * unpack.FREE_PARTS
    assert counted.calls <= 2 * unpack.FREE_PARTS + len(honest) // 512 + 1
    assert counted.given <= len(honest) * 8 * 1024 // len(part)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_long_part_is_given_once(counted: type[Counter], packing: str) -> None:
    content = os.urandom(300_000) + bytes(2_000_000)
    body = gzip.compress(content) if packing == "gzip" else zstd(content)
    assert unpacked_body(body, packing, len(content)) == content
    assert counted.given <= 2 * len(body)
    assert counted.calls <= len(body) // 512 + len(content) // unpack.PIECE_BYTES + 3


def test_zeros_between_members_are_padding() -> None:
    member = gzip.compress(b"a")
    assert unpacked_body(member + bytes(20_000) + member + bytes(511), "gzip", 10) == b"aa"
    with pytest.raises(DamagedPackError):
        unpacked_body(bytes(10) + member, "gzip", 10)


def test_skippable_frames_hold_nothing() -> None:
    skipped = b"\x50\x2a\x4d\x18" + (2_000).to_bytes(4, "little") + bytes(2_000)
    assert unpacked_body(zstd(b"a") + skipped + zstd(b"b"), "zstd", 10) == b"ab"


def test_an_empty_body_is_damaged() -> None:
    for packing in ("gzip", "zstd"):
        with pytest.raises(DamagedPackError):
            unpacked_body(b"", packing, 10)


@pytest.mark.parametrize(("pack", "packing"), PACKERS[2:])
def test_a_bomb_of_another_kind_is_refused_while_it_unpacks(
    tmp_path: Path, pack: Callable[[bytes], bytes], packing: str
) -> None:
    path = tmp_path / "packed"
    path.write_bytes(pack(bytes(48 * 1024 * 1024)))
    sizes: list[int] = []
    with pytest.raises(UnpackedTooLargeError, match="200 times"):
        sizes.extend(map(len, unpacked(path, packing, 2**40)))
    assert sum(sizes) <= 2 * unpack.FREE_BYTES
