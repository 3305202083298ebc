"""Runs the real service as a child process for the commands that need one of their own."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lakehouse.errors import EtaError
from lakehouse.waiting import wait_until

START_SECONDS: Final = 60
STOP_SECONDS: Final = 20


@contextmanager
def running_service(log: Path) -> Iterator[str]:
    """Start the service on a free port of 127.0.0.1, yield its URL, stop it at the end.

    What it prints goes to `log`. Raises `EtaError` when it does not come up.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, log.open("wb") as output:
        port_file = Path(folder) / "port"
        command = [sys.executable, "-m", "ingest_service", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--port-file", str(port_file)], stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield f"http://127.0.0.1:{_port(process, port_file, log)}"
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(process: "subprocess.Popen[bytes]", port_file: Path, log: Path) -> int:
    def has_come_or_ended() -> bool:
        return port_file.exists() or process.poll() is not None

    wait_until(has_come_or_ended, START_SECONDS, every=0.05)
    if not port_file.exists():
        raise EtaError("the service did not start", remedy=f"read {log}")
    return int(port_file.read_text())
