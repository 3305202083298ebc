"""The one error base class: every error a person can meet says what to do next."""

from collections.abc import Mapping
from typing import Any


class EtaError(Exception):
    """An error with a remedy.

    `message` says what went wrong and where; `remedy` says what to do. Neither ever holds a
    payload, a secret or a user identifier, so both may be logged and shown.

    `status` is what the service answers with, by the numbers of HTTP, and `code` the stable name of
    the problem. None: whoever asked can do nothing about it, so the service logs it and answers
    that it is unavailable. `retry_after`: seconds after which the same may be asked again.
    """

    status: int | None = None
    code: str = "unavailable"
    retry_after: int | None = None

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  What to do: {self.remedy}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    @property
    def details(self) -> Mapping[str, Any]:
        """What else the answer says of the problem; JSON values."""
        return {}
