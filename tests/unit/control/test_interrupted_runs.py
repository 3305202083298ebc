"""A run that was killed is not shown as running, and goes on where it was if it is begun again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lakehouse.control.database import ControlDatabase, ModelRun
from lakehouse.control.run_lock import LEASE
from lakehouse.training.run_metrics import exposition

_RUN = """
import sys, time
from datetime import datetime
from lakehouse.control.database import ControlDatabase
moment = datetime.fromisoformat(sys.argv[4])
database = ControlDatabase.open(sys.argv[1], clock=lambda: moment)
database.run_lock.hold(sys.argv[2], is_of_process=sys.argv[3] == "own")
database.runs.start(sys.argv[2], {})
database.runs.note(sys.argv[2], "versions", {"raw.items": 3})
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def killed_after(url: str, run_id: str, kind: str, clock: Any) -> "Iterator[None]":
    """Begin a run in another process; kill it with -9 at the end of the block."""
    command = [sys.executable, "-c", _RUN, url, run_id, kind, clock.now.isoformat()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def recorded(database: ControlDatabase, run_id: str) -> tuple[str, Any]:
    """What stands in the database itself."""
    from sqlalchemy import select

    from lakehouse.control.schema import model_runs

    query = select(model_runs).where(model_runs.c.run_id == run_id)
    with database.connections.read() as connection:
        row = connection.execute(query).one()
    return row.state, row.finished_at


def only(database: ControlDatabase) -> ModelRun:
    (run,) = database.runs.list()
    assert run == database.runs.get(run.run_id)
    return run


def test_a_killed_process_s_run_is_interrupted_at_once(
    database: ControlDatabase, url: str, clock: Any
) -> None:
    began = clock.now
    with killed_after(url, "prepare", "own", clock):
        assert only(database).state == "running"
    clock.advance(5)
    run = only(database)
    assert (run.state, run.finished_at) == ("interrupted", began)
    assert 'eta_run_last_end_timestamp_seconds{state="interrupted"}' in exposition([run])
    database.run_lock.hold("next")
    assert recorded(database, "prepare") == ("interrupted", began)
    database.runs.start("next", {})
    assert [run.state for run in database.runs.list()] == ["running", "interrupted"]


def test_a_scheduler_s_run_is_interrupted_when_its_lease_is_over(
    database: ControlDatabase, url: str, clock: Any
) -> None:
    began = clock.now
    with killed_after(url, "scheduled", "run", clock):
        pass
    clock.advance(LEASE.total_seconds() - 1)
    assert only(database).state == "running"  # its next task may come
    clock.advance(1)
    assert (only(database).state, only(database).finished_at) == ("interrupted", began)


def test_a_step_that_comes_late_goes_on_with_its_run(database: ControlDatabase, clock: Any) -> None:
    database.run_lock.hold("scheduled")
    database.runs.start("scheduled", {})
    clock.advance(LEASE.total_seconds())
    database.run_lock.hold("other")
    database.runs.start("other", {})
    database.runs.finish("other", "succeeded")
    database.run_lock.release("other")
    assert recorded(database, "scheduled")[0] == "interrupted"
    database.run_lock.hold("scheduled")
    assert recorded(database, "scheduled") == ("running", None)
    assert database.runs.get("scheduled").state == "running"
    database.runs.finish("scheduled", "succeeded")
    database.run_lock.release("scheduled")
    assert recorded(database, "scheduled") == ("succeeded", clock.now)


def test_a_killed_run_that_is_begun_again_keeps_its_notes(
    database: ControlDatabase, url: str, clock: Any
) -> None:
    began = clock.now
    with killed_after(url, "r", "own", clock):
        pass
    clock.advance(60)
    database.run_lock.hold("between")
    database.run_lock.release("between")
    database.run_lock.hold("r")
    run = database.runs.start("r", {})
    assert (run.state, run.started_at, run.finished_at) == ("running", began, None)
    assert run.notes == {"versions": {"raw.items": 3}}


@pytest.mark.parametrize("released", ["scheduled", None], ids=["its own", "by an operator"])
def test_a_run_that_gives_the_lock_back_without_an_end_is_interrupted(
    database: ControlDatabase, clock: Any, released: str | None
) -> None:
    database.run_lock.hold("scheduled")
    database.runs.start("scheduled", {})
    clock.advance(30)
    database.run_lock.hold("scheduled")
    database.run_lock.release(released)
    assert recorded(database, "scheduled") == ("interrupted", clock.now)


def test_an_ended_run_stays_as_it_ended(database: ControlDatabase, clock: Any) -> None:
    database.run_lock.hold("r")
    database.runs.start("r", {})
    ended = database.runs.finish("r", "refused")
    clock.advance(LEASE.total_seconds())
    database.run_lock.hold("next")
    database.runs.start("next", {})
    assert database.runs.get("r") == ended


def test_a_run_that_an_earlier_version_left_is_recorded_by_the_next(
    database: ControlDatabase, clock: Any
) -> None:
    database.runs.start("left", {})  # no lock is held: nobody can be at it
    assert (only(database).state, only(database).finished_at) == ("interrupted", None)
    clock.advance(9)
    database.run_lock.hold("next")
    database.runs.start("next", {})
    assert recorded(database, "left") == ("interrupted", clock.now)
