"""Waiting ends when it may, and when it must."""

import pytest

from lakehouse.errors import EtaError
from lakehouse.waiting import retry_for, retry_times, wait_until


def test_what_is_so_is_asked_once() -> None:
    answers = iter([True])
    assert wait_until(lambda: next(answers), 0, every=60)


def test_what_becomes_so_is_found() -> None:
    answers = iter([False, False, True])
    assert wait_until(lambda: next(answers), 60, every=0.001)


def test_what_never_becomes_so_ends_the_wait() -> None:
    assert not wait_until(lambda: False, 0.01, every=0.001)


def test_an_error_that_passes_is_told_once() -> None:
    outcomes, told = iter([KeyError("a"), KeyError("b"), None]), []

    def attempt() -> str:
        if (error := next(outcomes)) is not None:
            raise error
        return "done"

    assert retry_for(attempt, KeyError, 60, every=0.001, on_error=told.append) == "done"
    assert [str(error) for error in told] == ["'a'"]


def test_one_that_stays_is_raised_and_another_at_once() -> None:
    attempts = []

    def attempt() -> None:
        attempts.append(1)
        raise KeyError("stays")

    with pytest.raises(KeyError, match="stays"):
        retry_for(attempt, KeyError, 0.01, every=0.001)
    assert len(attempts) > 1
    attempts.clear()
    with pytest.raises(KeyError):
        retry_for(attempt, ValueError, 60, every=60)
    assert len(attempts) == 1


def test_a_conflict_that_stays_is_the_error_that_says_what_to_do() -> None:
    outcomes = iter([KeyError("a"), KeyError("b"), None])
    failed = EtaError("others were always faster", remedy="try again")

    def attempt() -> str:
        if (error := next(outcomes)) is not None:
            raise error
        return "done"

    assert retry_times(attempt, KeyError, 3, failed=failed) == "done"
    outcomes = iter([KeyError(str(n)) for n in range(9)])
    with pytest.raises(EtaError, match="always faster") as raised:
        retry_times(attempt, KeyError, 3, failed=failed)
    assert isinstance(raised.value.__cause__, KeyError)
    assert next(outcomes).args == ("3",), "as often as it was asked to"
