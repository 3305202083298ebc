"""What an export has finished so far: a later one goes on where a killed one was.

`.finished.jsonl` in the folder that an export is made in: its first line says what is exported and
by what, each further one names a complete file with its rows and its checksum. A file without a
line, or that is another than its line says, is written again; so are all files after it in its
folder. It holds no user and no item, and is deleted before the export appears.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from lakehouse.training.export.checksums import file_digest

NAME: Final = ".finished.jsonl"


class Journal:
    """The finished files of one export, by folder; see the module.

    `folder` is where the export is made, and `job` names all that its files follow from. What was
    left there and cannot be used is deleted.
    """

    def __init__(self, folder: Path, job: Mapping[str, Any]) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._head = {"job": dict(job)}
        found_any = any(folder.iterdir())
        lines = list(self._lines())
        self.is_of_another = found_any and (not lines or lines[0] != self._head)
        """Whether something was left there that is not of this export."""
        self._finished: dict[str, list[dict[str, Any]]] = {}
        if not self.is_of_another:
            for line in lines[1:]:
                self._take_over(line)
        self.left_rows = sum(line["rows"] for place in self._finished.values() for line in place)
        self.left_files = sum(map(len, self._finished.values()))
        self.is_continued = found_any and not self.is_of_another
        """Whether a killed export of the same was there, with or without finished files."""
        self._clean()
        taken = [line for place in self._finished.values() for line in place]
        with self._path.open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(line)}\n" for line in [self._head, *taken])

    def rows(self, place: Path) -> list[int]:
        """Return the rows of the finished files of a folder, in the order of the files."""
        return [line["rows"] for line in self._finished.get(self._name(place), [])]

    def add(self, path: Path, rows: int) -> None:
        """Note a complete file of `rows` rows, the next of its folder."""
        line = {"file": self._name(path), "rows": rows, "sha256": file_digest(path)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")

    def _take_over(self, line: Mapping[str, Any]) -> None:
        """Take a file that is as it was finished, if it is the next of its folder."""
        try:
            name = PurePosixPath(line["file"])
            int(line["rows"])
        except (KeyError, TypeError, ValueError):  # nothing that an export has written
            return
        if name.is_absolute() or ".." in name.parts:
            return
        place = self._finished.setdefault(str(name.parent), [])
        path = self._folder / name
        is_next = name.name == f"part-{len(place):05}.parquet"
        if is_next and path.is_file() and file_digest(path) == line.get("sha256"):
            place.append(dict(line))

    def _clean(self) -> None:
        """Delete all but the files that are taken over."""
        kept = {self._folder / line["file"] for lines in self._finished.values() for line in lines}
        folders = {folder for path in kept for folder in path.parents}
        for folder in sorted({self._folder, *(one for one in folders if self._is_in(one))}):
            for path in folder.iterdir():
                if path in kept or path in folders:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def _is_in(self, path: Path) -> bool:
        return path.is_relative_to(self._folder)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Yield the whole lines; what a killed process wrote of its last one is none."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return
        for line in text.splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                return
