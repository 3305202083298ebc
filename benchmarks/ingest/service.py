"""The real service in a process of its own, with a tenant and a key."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from lakehouse.control.database import ControlDatabase

TENANT: Final = "bench"
START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    url: str
    key: str
    pid: int

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        used = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def peak_rss_mb(self) -> float:
        """Largest resident size so far."""
        return _status_mb(self.pid, "VmHWM")

    @property
    def rss_mb(self) -> float:
        """Resident size now."""
        return _status_mb(self.pid, "VmRSS")


@contextmanager
def running_service(home: Path, environment: Mapping[str, str] | None = None) -> Iterator[Service]:
    """Start the service on a fresh home; it is stopped at the end of the block."""
    home.mkdir(parents=True)
    database = ControlDatabase.open(f"sqlite:///{home / 'control.db'}")
    database.tenants.add(TENANT)
    key = database.keys.create(TENANT).secret
    database.close()
    port_file = home / "port"
    process = subprocess.Popen(
        [sys.executable, "-m", "ingest_service", "--port", "0", "--port-file", str(port_file)],
        env={**os.environ, "ETA_HOME": str(home), **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = monotonic() + START_SECONDS
        while not port_file.exists():
            if process.poll() is not None or monotonic() > deadline:
                raise RuntimeError("the service did not start")
            sleep(0.05)
        yield Service(f"http://127.0.0.1:{port_file.read_text().strip()}", key, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _status_mb(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(s.split()[1]) for s in status.splitlines() if s.startswith(name)) / 1024
