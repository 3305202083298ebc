"""Small files beside the tables, each written whole: the same guarantees on disk and in a bucket.

On disk a file is written beside its place and renamed; in an object store one put makes it appear.
Either way a reader finds the old content, the new content or nothing, never a part. The object
store is reached through delta-rs, with the options that open the tables.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

import pyarrow.fs as pafs

from lakehouse.storage.whole_files import write_whole


class ObjectFolder(Protocol):
    """A folder of small files, named by relative paths with `/`."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None when there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Replace a file in one atomic step; durable when this returns."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file; one that is not there is none the worse."""
        ...

    def delete_folder(self, name: str) -> None:
        """Delete a folder in this one, with what is in it; it need not exist."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names of the files directly in `folder`, in order; none if it is missing."""
        ...

    def sizes(self, folder: str) -> list[int]:
        """Return the bytes of each file directly in `folder`."""
        ...

    def folders(self) -> list[str]:
        """Return the names of the folders directly in this one, in order."""
        ...


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes | None:
        """See `ObjectFolder.read`."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """See `ObjectFolder.write`."""
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content, sync=True)

    def delete(self, name: str) -> None:
        """See `ObjectFolder.delete`."""
        (self._root / name).unlink(missing_ok=True)

    def delete_folder(self, name: str) -> None:
        """See `ObjectFolder.delete_folder`."""
        shutil.rmtree(self._root / name, ignore_errors=True)

    def names(self, folder: str) -> list[str]:
        """See `ObjectFolder.names`."""
        found = (self._root / folder).glob("[!.]*")
        return sorted(path.name for path in found if path.is_file())

    def sizes(self, folder: str) -> list[int]:
        """See `ObjectFolder.sizes`."""
        return [path.stat().st_size for path in (self._root / folder).glob("*") if path.is_file()]

    def folders(self) -> list[str]:
        """See `ObjectFolder.folders`."""
        return sorted(path.name for path in self._root.glob("[!.]*") if path.is_dir())


class StoreFolder:
    """A prefix of an object store, by a file system whose root it is."""

    def __init__(self, files: pafs.FileSystem) -> None:
        self._files = files

    def read(self, name: str) -> bytes | None:
        """See `ObjectFolder.read`."""
        if self._files.get_file_info(name).type is not pafs.FileType.File:
            return None
        with self._files.open_input_stream(name) as stream:
            content: bytes = stream.read()
        return content

    def write(self, name: str, content: bytes) -> None:
        """See `ObjectFolder.write`."""
        # Buffered whole: delta-rs' file takes bytes only, unbuffered pyarrow hands it its Buffer.
        size = len(content) + 1
        with self._files.open_output_stream(name, buffer_size=size) as stream:
            stream.write(content)

    def delete(self, name: str) -> None:
        """See `ObjectFolder.delete`."""
        if self._files.get_file_info(name).type is pafs.FileType.File:
            self._files.delete_file(name)

    def delete_folder(self, name: str) -> None:
        """See `ObjectFolder.delete_folder`."""
        self._files.delete_dir(name)

    def names(self, folder: str) -> list[str]:
        """See `ObjectFolder.names`."""
        selector = pafs.FileSelector(folder, allow_not_found=True)
        found = self._files.get_file_info(selector)
        return sorted(info.base_name for info in found if info.type is pafs.FileType.File)

    def sizes(self, folder: str) -> list[int]:
        """See `ObjectFolder.sizes`."""
        found = self._files.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
        return [info.size for info in found if info.type is pafs.FileType.File]

    def folders(self) -> list[str]:
        """See `ObjectFolder.folders`."""
        found = self._files.get_file_info(pafs.FileSelector("", allow_not_found=True))
        return sorted(info.base_name for info in found if info.type is pafs.FileType.Directory)
