"""A real Prometheus in a process of its own, with the configuration and rules that are shipped."""

import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import PROJECT_DIR

SHIPPED = PROJECT_DIR / "deploy" / "prometheus"
WAIT_SECONDS = 120


class RunningPrometheus:
    """Scrapes each second; alerts fire as soon as their condition is true."""

    def __init__(self, folder: Path, targets: dict[str, str], token: str) -> None:
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip("prometheus is not installed (`apt-get install prometheus`)")
        folder.mkdir()
        config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
            job["scrape_timeout"] = "1s"
            if "authorization" in job:
                job["authorization"]["credentials_file"] = str(folder / "token")
        (folder / "token").write_text(token)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        rules = (SHIPPED / "rules.yml").read_text()
        (folder / "rules.yml").write_text(re.sub(r"for: \w+", "for: 0s", rules))
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait(lambda: httpx.get(f"{self.url}/-/ready").status_code == 200)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=30)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def value(self, expression: str) -> float | None:
        """The value of the only series, if there is one."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[tuple[str, str | None]]:
        """Name and tenant of each alert that fires."""
        found = self.query('ALERTS{alertstate="firing"}')
        return {(s["metric"]["alertname"], s["metric"].get("tenant_id")) for s in found}

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds; fails the test after two minutes."""
        deadline = monotonic() + WAIT_SECONDS
        while True:
            assert self._process.poll() is None, self._log.read_text()
            try:
                if condition():
                    return
            except httpx.TransportError:
                pass
            assert monotonic() < deadline, self._log.read_text()[-2000:]
            sleep(0.25)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
