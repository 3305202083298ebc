"""Pages that the service serves to browsers: files that hold no data and ask for a key.

No page loads anything of another address: all files are the service's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from ingest_service.api.middleware import DASHBOARD, DOCS, UPLOAD
from ingest_service.api.problems import ProblemError
from ingest_service.upload_page.files import upload_html, upload_script, upload_style
from lakehouse.quality.pages import page_html, page_script, page_style

HTML: Final = "text/html"
CSS: Final = "text/css"
SCRIPT: Final = "text/javascript"
DESCRIPTION: Final = "/openapi.json"

_DOCS_HTML: Final = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>eta · API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{DOCS}/ui.css">
<script src="{DOCS}/ui.js" defer></script>
<script src="{DOCS}/start.js" defer></script>
</head>
<body>
<main id="ui"></main>
<noscript>This page draws with JavaScript. The description itself: {DESCRIPTION}.</noscript>
</body>
</html>
"""
_DOCS_SCRIPT: Final = f"""SwaggerUIBundle({{
  url: "{DESCRIPTION}",
  dom_id: "#ui",
  deepLinking: true,
  validatorUrl: null,
}});
"""


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of a page: where it is below the page's path, and what gives its text."""

    path: str
    media_type: str
    text: Callable[[], str]


_DASHBOARD: Final = (
    PageFile("", HTML, page_html),
    PageFile("/page.css", CSS, page_style),
    PageFile("/page.js", SCRIPT, page_script),
)
_UPLOAD: Final = (
    PageFile("", HTML, upload_html),
    PageFile("/page.css", CSS, upload_style),
    PageFile("/page.js", SCRIPT, upload_script),
)


def dashboard_router() -> APIRouter:
    """Return the routes of the page that shows the quality of the data."""
    return _page(DASHBOARD, _DASHBOARD, "shows the quality of the data", "quality")


def upload_router() -> APIRouter:
    """Return the routes of the page on which a tenant uploads files."""
    return _page(UPLOAD, _UPLOAD, "uploads files", "uploads")


def docs_router(*, is_open: bool) -> APIRouter:
    """Return the routes of the page that shows the API's description; closed, they answer 404."""
    if is_open:
        return _page(DOCS, _docs_files(), "shows the API's description", None)
    closed = APIRouter(include_in_schema=False)
    for path in (DOCS, DESCRIPTION):
        closed.add_api_route(path, _closed)
    return closed


def _docs_files() -> tuple[PageFile, ...]:
    return (
        PageFile("", HTML, lambda: _DOCS_HTML),
        PageFile("/start.js", SCRIPT, lambda: _DOCS_SCRIPT),
        PageFile("/ui.js", SCRIPT, lambda: _swagger("swagger-ui-bundle.js")),
        PageFile("/ui.css", CSS, lambda: _swagger("swagger-ui.css")),
    )


def _swagger(name: str) -> str:
    return files("fastapi_offline").joinpath("static", name).read_text(encoding="utf-8")


def _page(prefix: str, page: tuple[PageFile, ...], does: str, tag: str | None) -> APIRouter:
    """Return the routes of a page; without a tag they are not in the API's description."""
    pages = APIRouter(prefix=prefix, tags=[tag] if tag else None, include_in_schema=tag is not None)
    for file in page:
        pages.add_api_route(
            file.path,
            _serving(file),
            name=f"{prefix[1:]}{file.path}",
            summary=f"A file of the page that {does}: {file.media_type}.",
            response_class=Response,
            responses={200: {"description": "The file.", "content": {file.media_type: {}}}},
        )
    return pages


def _serving(file: PageFile) -> Callable[[], object]:
    text = cache(file.text)

    async def serve() -> Response:
        return Response(await run_in_threadpool(text), media_type=file.media_type)

    return serve


async def _closed() -> Response:
    raise ProblemError(
        HTTPStatus.NOT_FOUND,
        "description_closed",
        "the operator has closed the API's description",
        remedy="read docs/ of the project, or have ETA_SERVICE_DOCS set to `open`",
    )
