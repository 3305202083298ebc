"""The loop: every parser in turn, mutations of its corpus, crashes kept."""

import hashlib
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from benchmarks.fuzz.mutate import mutated
from benchmarks.fuzz.targets import TARGETS, Target

PROJECT: Final = Path(__file__).resolve().parents[2]
CORPUS: Final = PROJECT / "tests" / "data" / "fuzz"
LOOK_EVERY: Final = 10
"""With `keeps`, every so many inputs the lines that are run are looked at: it is slow."""
_WATCHED: Final = (str(PROJECT / "ingest_service"), str(PROJECT / "lakehouse"))


@dataclass(frozen=True, slots=True)
class Crash:
    """An input that made a parser raise what it does not promise."""

    target: str
    error: str
    path: Path


@dataclass(slots=True)
class Found:
    """What a run has tried and found."""

    tried: dict[str, int] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)
    crashes: list[Crash] = field(default_factory=list)


def fuzz(corpus: Path, seconds: float, seed: int, *, keeps: bool = False) -> Found:
    """Try every entry, then mutations for so long; return what was found."""
    draw, found = random.Random(seed), Found()
    entries = {name: _entries(corpus / name) for name in TARGETS}
    for name, target in TARGETS.items():
        found.tried[name] = 0
        for data in entries[name]:
            _try(corpus, name, target, data, found)
    seen: set[tuple[str, int]] = set()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name, target in TARGETS.items():
            data = mutated(draw, entries[name])
            if keeps and found.tried[name] % LOOK_EVERY == 0:
                with _lines(seen) as fresh:
                    is_good = _try(corpus, name, target, data, found)
                if is_good and fresh[0]:
                    entries[name].append(data)
                    _write(corpus / name, "seen", data)
            else:
                _try(corpus, name, target, data, found)
    found.entries = {name: len(of) for name, of in entries.items()}
    return found


def _try(corpus: Path, name: str, target: Target, data: bytes, found: Found) -> bool:
    found.tried[name] += 1
    try:
        target(data)
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        kind = type(error).__name__
        if not any(crash.error == kind and crash.target == name for crash in found.crashes):
            found.crashes.append(Crash(name, kind, _write(corpus / name, "crash", data)))
        return False
    return True


def _entries(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def _write(folder: Path, prefix: str, data: bytes) -> Path:
    path = folder / f"{prefix}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


@contextmanager
def _lines(seen: set[tuple[str, int]]) -> Iterator[list[int]]:
    """Count the lines of the project that run for the first time."""
    fresh = [0]

    def watch(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(_WATCHED):
            return None
        if event == "line" and (name, frame.f_lineno) not in seen:
            seen.add((name, frame.f_lineno))
            fresh[0] += 1
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        yield fresh
    finally:
        sys.settrace(before)
