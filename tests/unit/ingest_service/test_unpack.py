"""Packed files: what comes out is what went in, up to the cap, in little memory."""

import gzip
import io
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service import unpack
from ingest_service.unpack import DamagedPackError, UnpackedTooLargeError, packing_of, unpacked


def zstd(data: bytes) -> bytes:
    """A zstd frame."""
    return zstandard.ZstdCompressor(level=1).compress(data)


PACKERS = [pytest.param(gzip.compress, "gzip", id="gzip"), pytest.param(zstd, "zstd", id="zstd")]


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
