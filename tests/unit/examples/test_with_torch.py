"""Both examples as they are typed: they learn what follows, and their embeddings are exported."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from lakehouse.privacy.export_embedding import read_embedding
from lakehouse.settings import LakeSettings
from tests.conftest import PROJECT_DIR
from tests.support.example_exports import USERS, write_home
from tests.support.redis_server import running_redis

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(find_spec("torch") is None, reason="torch is not in the lock"),
]


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT_DIR / "examples" / f"{name}.py"), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["two_tower", "sasrec"])
def test_an_example_learns_and_its_embeddings_are_exported(tmp_path: Path, name: str) -> None:
    lake = write_home(tmp_path)
    few = ("--lake", str(lake), "--batch", "16", "--epochs", "6", "--rate", "0.01")
    with running_redis(tmp_path) as url:
        figures: list[Any] = []
        for number in range(2):
            out = tmp_path / f"figures-{number}"
            done = run(name, *few, "--out", str(out), "--redis", url)
            assert done.returncode == 0, done.stderr
            figures.append(json.loads((out / f"{name}-acme.json").read_bytes()))
            assert (out / f"{name}-acme.png").is_file()
        assert figures[0] == figures[1]  # the seed decides
        found = figures[0]["test"]
        assert found[name]["hr"] > found["popularity"]["hr"] + 0.2
        assert len(Redis.from_url(url).keys("acme:embedding:*")) == USERS
        embedding = read_embedding(LakeSettings(redis_url=url), "acme", "u7")
        assert (embedding.format, len(embedding.value)) == ("float32", 64)


def test_what_is_missing_is_told_in_two_lines(tmp_path: Path) -> None:
    done = run("sasrec", "--lake", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 2
    assert "uv run eta prepare" in done.stderr
