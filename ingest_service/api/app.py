"""The app: routers, errors, metrics. Everything it works with is passed in."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from ingest_service.api import health, problems, uploads
from ingest_service.api.services import Services


def create_app(services: Services) -> FastAPI:
    """Return the app. Every endpoint needs a key, but for health and the API's description."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(services.start)
        yield

    app = FastAPI(
        title="eta ingestion",
        description="Takes in interactions and item catalogues.",
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.services = services
    app.include_router(uploads.router(services.settings.parallel_uploads))
    app.include_router(health.router)
    problems.install(app)
    _count_requests(app, services)
    return app


def _count_requests(app: FastAPI, services: Services) -> None:
    @app.middleware("http")
    async def count(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "other")
        services.metrics.requests.labels(route, str(response.status_code)).inc()
        return response
