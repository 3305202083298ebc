"""Query parameters that mean nothing are refused: a misspelt `dry_run` must not store a file.

What a route takes is read from the API's own description. A parameter may come once: of two,
clients and servers disagree which counts.
"""

from collections import Counter
from difflib import get_close_matches
from functools import cached_property
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

from fastapi import Depends, FastAPI, Request
from fastapi.params import Depends as Dependency

from ingest_service.api.problems import ProblemError

_SHOWN: Final = 40


class QueryParameters:
    """The parameters that each operation of an app takes."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def check(self, request: Request) -> None:
        """Raise `ProblemError` 422 for a parameter that is unknown, or that comes twice."""
        route = request.scope.get("route")
        known = self._of.get((request.method, getattr(route, "path_format", "")))
        if known is None:
            return
        counts = Counter(name for name, _ in request.query_params.multi_items())
        for name, count in counts.items():
            if name not in known:
                raise _refused(f"there is no parameter `{_shown(name)}`", _instead(name, known))
            if count > 1:
                raise _refused(f"the parameter `{name}` comes {count} times", "send it once")

    @cached_property
    def _of(self) -> dict[tuple[str, str], list[str]]:
        """By method and path; the description takes a tenth of a second, so not at the start."""
        return {
            (method.upper(), path): [
                one["name"] for one in operation.get("parameters", []) if one["in"] == "query"
            ]
            for path, methods in self._app.openapi()["paths"].items()
            for method, operation in methods.items()
        }


async def check_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not take, and an URL that is no UTF-8."""
    _check_encoding(request)
    if request.scope["query_string"]:
        parameters: QueryParameters = request.app.state.parameters
        parameters.check(request)


CHECKED: Final[list[Dependency]] = [Depends(check_parameters)]
"""What a router depends on whose callers are clients of this API."""


def _check_encoding(request: Request) -> None:
    """Raise `ProblemError` 422 for escaped bytes that are no text: they would become another."""
    sent = request.scope.get("raw_path", b"") + b"?" + request.scope["query_string"]
    if b"%" not in sent:
        return
    try:
        unquote_to_bytes(sent).decode()
    except UnicodeDecodeError:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid_url",
            "the URL has escaped bytes that are not UTF-8",
            remedy="escape the UTF-8 bytes of each character, as `encodeURIComponent` does",
        ) from None


def _instead(name: str, known: list[str]) -> str:
    folded = {one.replace("_", "").lower(): one for one in known}
    near = get_close_matches(name.replace("_", "").replace("-", "").lower(), folded, n=1)
    if near:
        return f"`{folded[near[0]]}` may be meant"
    return f"take it out; there are: {', '.join(known)}" if known else "take it out; there is none"


def _shown(name: str) -> str:
    printable = "".join(one if one.isprintable() else "?" for one in name)
    return printable if len(printable) <= _SHOWN else f"{printable[:_SHOWN]}…"


def _refused(message: str, remedy: str) -> ProblemError:
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return ProblemError(status, "unknown_parameter", message, remedy=remedy)
