"""Zip archives: one file of them comes out, anything else is refused with what is in them."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from ingest_service.unpack import DamagedPackError, UnpackedTooLargeError
from ingest_service.zip_archive import (
    PackRefusedError,
    is_zip_of_files,
    open_zip,
    unpacked_member,
)

TEXT = b"user_id,item_id\n" * 1_000


def archive(
    folder: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, name: str = "a.zip"
) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", method) as made:
        for member, data in files.items():
            made.writestr(member, data)
    return path


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_the_one_file_comes_out(tmp_path: Path, method: int) -> None:
    path = archive(
        tmp_path,
        {"__MACOSX/._a": b"x", "folder/": b"", "folder/a.csv": TEXT, ".DS_Store": b"x"},
        method,
    )
    assert is_zip_of_files(path)
    assert b"".join(unpacked_member(path, 1_000_000)) == TEXT


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        ({"a.csv": TEXT, "b.csv": TEXT}, "several_files", "2 files: 'a.csv', 'b.csv'"),
        ({f"{n}.csv": b"" for n in range(30)}, "several_files", "and 20 more"),
        ({"folder/": b""}, "empty_file", "no file"),
    ],
    ids=["two", "many", "none"],
)
def test_several_files_are_refused_with_their_names(
    tmp_path: Path, files: dict[str, bytes], code: str, said: str
) -> None:
    with pytest.raises(PackRefusedError) as raised:
        list(unpacked_member(archive(tmp_path, files), 1_000_000))
    assert raised.value.code == code
    assert said in raised.value.message


def test_a_password_is_told(tmp_path: Path) -> None:
    path = archive(tmp_path, {"a.csv": TEXT})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(PackRefusedError, match="password"):
        list(unpacked_member(path, 1_000_000))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_is_refused_while_it_unpacks(tmp_path: Path, method: int) -> None:
    path = archive(tmp_path, {"a.csv": bytes(100_000_000)}, method)
    sizes: list[int] = []
    with pytest.raises(UnpackedTooLargeError, match="200 times"):
        sizes.extend(map(len, unpacked_member(path, 1_000_000_000)))
    assert sum(sizes) <= 32 * 1024 * 1024
    with pytest.raises(UnpackedTooLargeError, match="1,000 bytes"):
        list(unpacked_member(path, 1_000))


def test_very_many_members_are_refused_before_their_list_is_read(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 60_000, 60_000, 3_000_000, 0, 0)
    path.write_bytes(b"PK\x03\x04" + bytes(3_000_000) + end)
    with pytest.raises(UnpackedTooLargeError, match="members"):
        open_zip(path)


@pytest.mark.parametrize("cut", [30, 60, -1])
def test_a_damaged_archive_is_refused(tmp_path: Path, cut: int) -> None:
    path = archive(tmp_path, {"a.csv": TEXT})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DamagedPackError):
        list(unpacked_member(path, 1_000_000))


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {"a.csv": TEXT}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"user_id", b"user_ix", 1))
    with pytest.raises(DamagedPackError):
        list(unpacked_member(path, 1_000_000))


def test_a_document_is_no_archive(tmp_path: Path) -> None:
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as made:
        made.writestr("[Content_Types].xml", b"<Types/>")
    path = tmp_path / "a.xlsx"
    path.write_bytes(book.getvalue())
    assert not is_zip_of_files(path)
