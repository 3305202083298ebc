"""The corpus and its mutations: 10 s, or `ETA_TEST_FUZZ_SECONDS` (`python -m benchmarks.fuzz`)."""

import os
import random
import shutil
from pathlib import Path

import pytest

from benchmarks.fuzz import run
from benchmarks.fuzz.mutate import mutated
from benchmarks.fuzz.run import CORPUS, fuzz
from benchmarks.fuzz.targets import TARGETS

SECONDS = float(os.environ.get("ETA_TEST_FUZZ_SECONDS", "10"))


def test_no_input_crashes_a_parser(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(CORPUS, corpus)
    seed = random.randrange(10**6)
    found = fuzz(corpus, SECONDS, seed)
    told = [(crash.target, crash.error, crash.path.read_bytes()) for crash in found.crashes]
    assert told == [], f"seed {seed}"
    assert min(found.tried.values()) > 10


def test_a_crash_is_found_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(data: bytes) -> None:
        if b"\x00" in data:
            raise KeyError

    monkeypatch.setattr(run, "TARGETS", {"json": fragile})
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "one").write_bytes(b"{}")
    found = fuzz(tmp_path, 0.5, seed=1)
    assert [crash.error for crash in found.crashes] == ["KeyError"]
    assert b"\x00" in found.crashes[0].path.read_bytes()


def test_every_parser_has_a_corpus_that_is_mutated() -> None:
    draw = random.Random(1)
    for name in TARGETS:
        entries = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
        assert len(entries) >= 5
        assert len({mutated(draw, entries) for _ in range(100)}) > 80
