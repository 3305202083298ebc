"""Where a training set lies: a folder of this machine or of an object store, by one interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from eta_data.errors import DamagedError, DataError


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder by its file system and its path there, without a slash at the end."""

    files: pafs.FileSystem
    path: str

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk of this machine."""
        return isinstance(self.files, pafs.LocalFileSystem)

    def below(self, name: str) -> str:
        """Return the path of a file in the folder; refuse a name that leads out of it."""
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
            raise DamagedError(
                f"{self.path} names a file outside of its own folder",
                remedy="do not use this folder; export the snapshot again",
            )
        return f"{self.path}/{name}"

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file, None when there is none."""
        path = self.below(name)
        if self.files.get_file_info(path).type is not pafs.FileType.File:
            return None
        with self.files.open_input_stream(path) as stream:
            content: bytes = stream.read()
        return content

    def names(self) -> list[tuple[str, int]]:
        """Return name and bytes of every file below the folder, in order of the names."""
        selector = pafs.FileSelector(self.path, recursive=True, allow_not_found=True)
        found = [
            (info.path.removeprefix(self.path).lstrip("/"), info.size)
            for info in self.files.get_file_info(selector)
            if info.type is pafs.FileType.File
        ]
        return sorted(found)


def folder_of(
    place: str | Path,
    storage_options: Mapping[str, str] | None = None,
    filesystem: pafs.FileSystem | None = None,
) -> Folder:
    """Return the folder that a path or an address (`s3://bucket/folder`) names.

    `storage_options` are those of delta-rs, `AWS_…`; other stores are reached by a `filesystem` of
    pyarrow, or by what pyarrow makes of the address.
    """
    text = str(place)
    if filesystem is not None:
        return Folder(filesystem, urlsplit(text).netloc + urlsplit(text).path.rstrip("/"))
    scheme = urlsplit(text).scheme
    if scheme in ("", "file"):
        local = text.removeprefix("file://")
        return Folder(pafs.LocalFileSystem(), str(Path(local).expanduser().resolve()))
    if scheme in ("s3", "s3a"):
        path = text.partition("://")[2].rstrip("/")
        return Folder(_s3(storage_options or {}), path)
    try:
        files, path = pafs.FileSystem.from_uri(text)
    except Exception as error:
        raise DataError(
            f"pyarrow has no file system for {scheme}://",
            remedy="give one with `filesystem=`, or copy the folder to a disk",
        ) from error
    return Folder(files, path.rstrip("/"))


def _s3(options: Mapping[str, str]) -> pafs.S3FileSystem:
    known = {name.lower().removeprefix("aws_"): value for name, value in options.items()}
    endpoint = known.get("endpoint_url") or known.get("endpoint")
    chosen = {
        "access_key": known.get("access_key_id"),
        "secret_key": known.get("secret_access_key"),
        "session_token": known.get("session_token"),
        "region": known.get("region") or known.get("default_region"),
        "endpoint_override": urlsplit(endpoint).netloc or endpoint if endpoint else None,
        "scheme": urlsplit(endpoint).scheme if endpoint and "://" in endpoint else None,
    }
    return pafs.S3FileSystem(**{name: value for name, value in chosen.items() if value})
