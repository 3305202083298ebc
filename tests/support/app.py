"""The service's app on an event loop of the test: no process, no port."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from ingest_service.api.app import create_app
from ingest_service.api.services import Services
from ingest_service.settings import ServiceSettings
from ingest_service.wiring import build_services
from lakehouse.contracts.tables import TableSpec
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake


class App:
    """A service and its control database on a home of its own, with tenants `bad` and `good`."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.lake = LakeSettings(home=home)
        self.control = ControlDatabase.open(self.lake.control_url)
        self.keys = {}
        for tenant in ("bad", "good"):
            self.control.tenants.add(tenant)
            self.keys[tenant] = self.control.keys.create(tenant, {"ingest", "read"}).secret
        self.services: Services = build_services(self.lake, ServiceSettings(**settings))
        self.app: FastAPI = create_app(self.services)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[httpx.AsyncClient]:
        """Serve, and yield a client; an exception that no answer was made of is answered 500."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with (
            self.app.router.lifespan_context(self.app),
            httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30) as client,
        ):
            yield client

    def run(self, program: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        """Run a program beside the service."""

        async def main() -> Any:
            async with self.serving() as client:
                return await program(client)

        return asyncio.run(main())

    def headers(self, tenant: str, **more: str) -> dict[str, str]:
        """What a tenant's request carries."""
        return {"Authorization": f"Bearer {self.keys[tenant]}", **more}

    def rows(self, spec: TableSpec, tenant: str) -> list[dict[str, Any]]:
        """A tenant's rows of a table."""
        table = Lake(self.lake).table(spec)
        found: list[dict[str, Any]] = table.to_pyarrow_table(
            filters=[("tenant_id", "=", tenant)]
        ).to_pylist()
        return found

    def close(self) -> None:
        """Close both ends of the control database."""
        self.services.control.close()  # type: ignore[attr-defined]
        self.control.close()
