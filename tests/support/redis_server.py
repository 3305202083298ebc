"""A real Redis in a process of its own, in memory alone."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as NotYet

SECONDS = 20


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """Yield the URL of a server that ends with the block; skips where none is installed."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (`apt-get install redis-server`)")
    socket = folder / "redis.sock"
    command = [program, "--port", "0", "--unixsocket", str(socket), "--save", ""]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        url = f"unix://{socket}"
        deadline = monotonic() + SECONDS
        while True:
            try:
                Redis.from_url(url).ping()
                break
            except NotYet:
                assert process.poll() is None
                assert monotonic() < deadline
                sleep(0.02)
        try:
            yield url
        finally:
            process.terminate()
