"""What a disk holds after a power cut: what was synced, and of the rest nothing, or by chance some.

Every sync of the program goes through one function, which is listened to here. A file that was not
synced is cut to the length it had when it was; an entry of a folder that was not synced since it
was made is not there.
"""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lakehouse.storage import durable

SPARED = 0.9
"""How much of what was not synced is on disk all the same, where chance decides."""


@dataclass
class Disk:
    """What is on disk of a folder, as the syncs since `begin` say."""

    root: Path
    lengths: dict[int, int] = field(default_factory=dict)
    entries: dict[Path, dict[str, int]] = field(default_factory=dict)
    syncs: int = 0

    def begin(self) -> None:
        """Take everything that is there now for synced."""
        for folder in (self.root, *(path for path in self.root.rglob("*") if path.is_dir())):
            self.note_folder(folder)
        for path in self.root.rglob("*"):
            if path.is_file():
                self.note_file(path)

    def note(self, path: Path) -> None:
        """Take in a sync."""
        self.syncs += 1
        (self.note_folder if path.is_dir() else self.note_file)(path)

    def note_file(self, path: Path) -> None:
        """The content of a file is on disk."""
        found = path.stat()
        self.lengths[found.st_ino] = found.st_size

    def note_folder(self, path: Path) -> None:
        """The names in a folder are on disk."""
        self.entries.setdefault(path, {}).update(
            {child.name: child.lstat().st_ino for child in path.iterdir()}
        )

    def after_a_cut(self, target: Path, chance: random.Random | None = None) -> None:
        """Copy what is on disk; by `chance` some of what was not synced as well."""
        target.mkdir(parents=True)
        self._copy(self.root, target, chance)

    def _copy(self, folder: Path, target: Path, chance: random.Random | None) -> None:
        for child in sorted(folder.iterdir()):
            known = self.entries.get(folder, {})
            is_kept = known.get(child.name) == child.lstat().st_ino
            if not is_kept and (chance is None or chance.random() > SPARED):
                continue
            if child.is_dir():
                (target / child.name).mkdir()
                self._copy(child, target / child.name, chance)
                continue
            content = child.read_bytes()
            synced = self.lengths.get(child.lstat().st_ino, 0)
            is_whole = chance is not None and chance.random() < SPARED
            length = len(content) if is_whole else synced
            (target / child.name).write_bytes(content[:length])


@contextmanager
def disk_of(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Listen to the syncs of this process."""
    disk, real = Disk(root), durable._sync
    disk.begin()

    def listening(path: Path, flags: int) -> None:
        real(path, flags)
        disk.note(path)

    with monkeypatch.context() as patched:
        patched.setattr(durable, "_sync", listening)
        yield disk


@dataclass
class Outcome:
    """What cuts have cost."""

    answers: int = 0
    cuts: int = 0
    acknowledged: int = 0
    lost: int = 0
    """Rows that were acknowledged and are not there, summed over the cuts."""
    cuts_with_loss: int = 0
    not_reported: int = 0
    """Cuts with a loss of which `eta ledger check` says nothing: must be 0."""
    false_alarms: int = 0
    """Cuts without a loss of which it says something."""
    syncs: int = 0
    failures: list[str] = field(default_factory=list)


def copy_of_home(disk: Disk, home: Path, target: Path, chance: random.Random | None) -> None:
    """Make a home as it is after a cut; SQLite has synced its database itself."""
    shutil.rmtree(target, ignore_errors=True)
    disk.after_a_cut(target / "lake", chance)
    for path in home.glob("control.db*"):
        shutil.copy(path, target / path.name)
