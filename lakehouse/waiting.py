"""Trying again: until something is so, or until it raises no more. Both end after some seconds."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_fixed,
    wait_random_exponential,
)

from lakehouse.errors import EtaError


def wait_until(is_so: Callable[[], bool], seconds: float, *, every: float) -> bool:
    """Ask at once and then every so many seconds; return what was answered last."""
    return Retrying(
        retry=retry_if_result(lambda found: not found),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(every),
        retry_error_callback=lambda _: False,
    )(is_so)


T = TypeVar("T")


def retry_for(
    attempt: Callable[[], T],
    error: type[Exception],
    seconds: float,
    *,
    every: float,
    on_error: Callable[[BaseException], None] = lambda _: None,
) -> T:
    """Try at once and again as long as `error` is raised; the last one goes to the caller.

    `on_error` is told the first of them.
    """

    def told(state: RetryCallState) -> None:
        raised = state.outcome.exception() if state.outcome else None
        if state.attempt_number == 1 and raised is not None:
            on_error(raised)

    return Retrying(
        retry=retry_if_exception_type(error),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(every),
        before_sleep=told,
        reraise=True,
    )(attempt)


def retry_times(
    attempt: Callable[[], T], error: type[Exception], tries: int, *, failed: EtaError
) -> T:
    """Try so often, after random pauses that grow to 0.1 s; raise `failed` when `error` stays."""
    retrying = Retrying(
        retry=retry_if_exception_type(error),
        stop=stop_after_attempt(tries),
        wait=wait_random_exponential(multiplier=0.005, max=0.1),
        reraise=True,
    )
    try:
        return retrying(attempt)
    except error as last:
        raise failed from last
