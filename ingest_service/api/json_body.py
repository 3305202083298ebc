"""JSON bodies of the API, read without leniency: a name that comes twice is refused.

Python's decoder takes the last of two values; the client may have meant the first, or both. Routes
whose body FastAPI reads are of the class `JsonRoute`; events are read by `contracts.strict_json`.
"""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from ingest_service.api.problems import ProblemError, RefusedBodyError
from lakehouse.contracts.strict_json import StrictJsonError, plain_value

LARGE: Final = 64 * 1024
"""Bytes of a body that is read in a thread, so that nobody else waits for it."""


class JsonRoute(APIRoute):
    """A route whose JSON body is read by `JsonRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return strict


class JsonRequest(Request):
    """A request whose body is read by RFC 8259, as UTF-8, each name of an object once."""

    async def json(self) -> Any:
        """Return the body's value; raises `RefusedBodyError` 422."""
        body = await self.body()
        try:
            if len(body) < LARGE:
                return plain_value(body)
            return await run_in_threadpool(plain_value, body)
        except StrictJsonError as error:
            raise RefusedBodyError(
                ProblemError(
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    "invalid_json",
                    f"the body cannot be read as JSON: {error.message}{_place(error)}",
                    remedy="send one JSON object in UTF-8 in which each name comes once",
                )
            ) from None


def _place(error: StrictJsonError) -> str:
    return "" if error.position is None else f" (at character {error.position + 1:,})"
