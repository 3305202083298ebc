"""The app: routers, errors, metrics. Everything it works with is passed in."""

from asyncio import Semaphore
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_service.api import (
    admin,
    batches,
    cards,
    events,
    exports,
    health,
    inspection,
    key,
    pages,
    privacy,
    problems,
    quality,
    quarantine,
    upload_jobs,
    uploads,
    webhooks,
)
from ingest_service.api.middleware import SecurityHeaders
from ingest_service.api.pace import BodyPace, Pace
from ingest_service.api.parameters import CHECKED, QueryParameters
from ingest_service.api.services import Services
from ingest_service.api.worker import UploadWorker
from ingest_service.metrics import ServiceMetrics


def create_app(services: Services) -> FastAPI:
    """Return the app. Every endpoint needs a key, but for health, the description and pages."""

    turns = Semaphore(services.settings.parallel_uploads)
    worker = UploadWorker(services, turns)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Each part is stopped, the last one first, also when another could not be started or ended.
        async with AsyncExitStack() as stack:
            stack.push_async_callback(run_in_threadpool, services.stop)
            await run_in_threadpool(services.start)
            parts = (
                worker,
                services.writer,
                services.quotas,
                services.uploads,
                services.inbox,
            )
            for part in parts:
                stack.push_async_callback(part.stop)
                await part.start()
            yield

    settings = services.settings
    has_docs = settings.docs == "open"
    app = FastAPI(
        title="eta ingestion",
        description="Takes in interactions and item catalogues.",
        lifespan=lifespan,
        openapi_url=pages.DESCRIPTION if has_docs else None,
        docs_url=None,  # it would load scripts of a content network
        redoc_url=None,
        redirect_slashes=False,  # a redirect would go where the request's Host header says
    )
    app.state.services = services
    app.include_router(events.router)  # first: routes are tried in their order
    checked = (
        uploads.router(uploads.Intake(turns, worker)),
        key.router,
        inspection.router,
        upload_jobs.router,
        admin.router,
        batches.router,
        quarantine.router(turns),
        privacy.router,
        exports.router,
        quality.router,
        cards.router,
    )
    for router in checked:
        app.include_router(router, dependencies=CHECKED)
    # Platforms, probes and browsers add parameters of their own to these.
    browsed = (
        pages.dashboard_router(),
        pages.upload_router(),
        pages.docs_router(is_open=has_docs),
    )
    for router in (webhooks.router, *browsed, health.router):
        app.include_router(router)
    app.state.parameters = QueryParameters(app)
    problems.install(app)
    pace = Pace(settings.body_idle_seconds, settings.body_rate, settings.upload_seconds)
    app.add_middleware(BodyPace, pace=pace, stopping=services.stopping)
    app.add_middleware(RequestCounter, metrics=services.metrics)
    app.add_middleware(SecurityHeaders)
    return app


class RequestCounter:
    """Counts answers by route and status; a request that nobody waited for has none."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        self._app = app
        self._requests = metrics.requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app."""

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                self._requests.labels(route, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted)
