"""The thread that does what nobody waits for."""

from datetime import timedelta
from threading import Event

from ingest_service.housekeeping import Housekeeper, Task


class Panic(BaseException):
    """What a native library raises when it panics."""


def test_tasks_run_again_and_a_failing_one_harms_nobody() -> None:
    done = Event()
    calls: list[str] = []

    def failing() -> None:
        calls.append("failing")
        raise OSError if len(calls) % 2 else Panic

    def counting() -> None:
        calls.append("counting")
        if calls.count("counting") == 3:
            done.set()

    brief = timedelta(milliseconds=1)
    keeper = Housekeeper([Task("first", brief, failing), Task("second", brief, counting)])
    keeper.start()
    assert done.wait(10)
    keeper.stop()
    ended_with = len(calls)

    assert calls.count("failing") >= 2
    assert not done.wait(0.05) or len(calls) == ended_with


def test_stopping_does_not_wait_for_the_next_turn() -> None:
    ran = Event()
    keeper = Housekeeper([Task("rare", timedelta(hours=1), ran.set)])
    keeper.start()
    assert ran.wait(10)
    keeper.stop()
    assert keeper._thread is not None
    assert not keeper._thread.is_alive()
