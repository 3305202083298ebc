"""The real ingestion service in a process of its own, on a home of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from lakehouse.contracts.tables import TableSpec
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake

START_SECONDS = 240  # of a busy machine
METRICS_TOKEN = "metrics-token"
OPERATOR_TOKEN = "operator-token"


@dataclass
class RunningService:
    """A service that can be stopped, killed and started again on the same home."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    python: Path = Path(sys.executable)
    folder: Path | None = None
    """Where it is started, if not in the checkout."""
    process: subprocess.Popen[bytes] | None = None
    base_url: str = ""
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def lake(self) -> LakeSettings:
        """Settings of its lake, for reading what it stored."""
        return LakeSettings(home=self.home)

    def add_tenant(self, tenant_id: str, settings: TenantSettings | None = None) -> str:
        """Add a tenant; return an API key that may ingest."""
        database = ControlDatabase.open(self.lake.control_url)
        database.tenants.add(tenant_id, settings=settings)
        key = database.keys.create(tenant_id, {"ingest"}).secret
        database.close()
        self.keys[tenant_id] = key
        return key

    def add_key(self, tenant_id: str, *scopes: str) -> str:
        """Return another key of a tenant."""
        database = ControlDatabase.open(self.lake.control_url)
        key = database.keys.create(tenant_id, set(scopes)).secret
        database.close()
        return key

    def start(self, port: int = 0) -> None:
        """Start it on a free port, or a given one, and wait until it answers."""
        port_file = self.home / "port"
        port_file.unlink(missing_ok=True)
        with (self.home / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(str(self.python), "-m", "ingest_service"),
                    *("--port", str(port), "--port-file", str(port_file)),
                ],
                env={
                    **os.environ,
                    "ETA_HOME": str(self.home),
                    "ETA_SERVICE_METRICS_TOKEN": METRICS_TOKEN,
                    "ETA_SERVICE_OPERATOR_TOKEN": OPERATOR_TOKEN,
                    **self.environment,
                },
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = monotonic() + START_SECONDS
        while not port_file.exists():
            assert self.process.poll() is None, self.log
            assert monotonic() < deadline, self.log
            sleep(0.05)
        self.base_url = f"http://127.0.0.1:{port_file.read_text().strip()}"

    def stop(self) -> None:
        """End it as an operator would."""
        self._end("terminate")

    def kill(self) -> None:
        """End it as a power cut would: no code of it runs any more."""
        self._end("kill")

    @property
    def peak_rss_mb(self) -> float:
        """Largest resident size so far."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(s.split()[1]) for s in status.splitlines() if s.startswith("VmHWM")) / 1024

    @property
    def log(self) -> str:
        """Everything it has logged."""
        return (self.home / "service.log").read_text()

    def upload(
        self,
        tenant_id: str,
        body: bytes | str,
        *,
        data_type: str = "interactions",
        mapping: str | None = None,
        key: str | None = None,
        idempotency_key: str | bytes | None = None,
        path: str = "upload-csv",
        **options: str,
    ) -> httpx.Response:
        """Upload a file as a client does; `options` are further parameters of the request."""
        params = {"tenant_id": tenant_id, "data_type": data_type, **options}
        if mapping is not None:
            params["mapping"] = mapping
        headers: dict[str, str | bytes] = {"Authorization": f"Bearer {key or self.keys[tenant_id]}"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        return httpx.post(
            f"{self.base_url}/internal/data/{path}",
            params=params,
            headers=headers,
            files={"file": ("rows.csv", body)},
            timeout=120,
        )

    def rows(self, spec: TableSpec, tenant_id: str) -> list[dict[str, Any]]:
        """The tenant's rows of a table."""
        table = Lake(self.lake).table(spec)
        rows: list[dict[str, Any]] = table.to_pyarrow_table(
            filters=[("tenant_id", "=", tenant_id)]
        ).to_pylist()
        return rows

    def _end(self, how: str) -> None:
        process, self.process = self.process, None
        if process is not None:
            getattr(process, how)()
            process.wait(30)


def spooled_files(service: RunningService) -> list[Path]:
    """Uploads that stand on its disk."""
    return list(service.lake.spool_dir.glob("*.upload"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A running service with a tenant `acme`, whose key is `service.keys["acme"]`."""
    running = RunningService(tmp_path_factory.mktemp("home"))
    running.add_tenant("acme")
    running.start()
    yield running
    running.stop()
