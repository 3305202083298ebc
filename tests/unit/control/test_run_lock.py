"""One run writes at a time, and no dead run stands in the way for long; on every backend."""

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest

from lakehouse.control import run_lock
from lakehouse.control.database import ControlDatabase, RunLocked, RunNotFound
from lakehouse.control.run_lock import LEASE
from lakehouse.errors import EtaError

_HOLD = """
import sys, time
from lakehouse.control.database import ControlDatabase
ControlDatabase.open(sys.argv[1]).run_lock.hold(sys.argv[2], is_of_process=sys.argv[3] == "own")
print("held", flush=True)
time.sleep(600)
"""


def other_process(url: str, run_id: str, kind: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, url, run_id, kind], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_second_run_is_refused_until_the_first_gives_the_lock_back(
    database: ControlDatabase,
) -> None:
    lock = database.run_lock
    lock.hold("first")
    lock.hold("first")  # every process of a run may have it
    with pytest.raises(RunLocked, match="'first'") as refused:
        lock.hold("second")
    assert "eta runs release" in refused.value.remedy
    assert not lock.release("second")
    assert lock.release("first")
    lock.hold("second")
    holder = lock.holder()
    assert holder is not None
    assert holder.run_id == "second"


def test_a_run_without_a_sign_of_life_loses_the_lock(database: ControlDatabase, clock: Any) -> None:
    database.run_lock.hold("first")
    clock.advance(LEASE.total_seconds() - 1)
    database.run_lock.hold("first")
    clock.advance(LEASE.total_seconds() - 1)
    with pytest.raises(RunLocked):
        database.run_lock.hold("second")
    clock.advance(1)
    assert database.run_lock.holder() is None
    database.run_lock.hold("second")
    with pytest.raises(RunLocked, match="'second'"):  # the overtaken one finds out
        database.run_lock.hold("first")


def test_the_lock_of_a_killed_process_is_free_at_once(database: ControlDatabase, url: str) -> None:
    process = other_process(url, "prepare", "own")
    try:
        with pytest.raises(RunLocked):
            database.run_lock.hold("second")
    finally:
        kill(process)
    database.run_lock.hold("second")


def test_a_scheduled_run_outlives_the_process_of_a_step(
    database: ControlDatabase, url: str
) -> None:
    kill(other_process(url, "scheduled", "run"))
    with pytest.raises(RunLocked):
        database.run_lock.hold("second")
    database.run_lock.hold("scheduled")


def test_a_process_has_the_lock_under_one_id(database: ControlDatabase) -> None:
    """What a job calls takes no lock of its own: `training.writing`."""
    with database.run_lock.kept("prepare", is_of_process=True):
        with pytest.raises(RunLocked, match=rf"'prepare' \(process {os.getpid()} on "):
            database.run_lock.hold("its dbt", is_of_process=True)
        holder = database.run_lock.holder()
        assert holder is not None
        assert holder.run_id == "prepare"
    assert database.run_lock.holder() is None


def test_long_work_renews_the_lock(
    database: ControlDatabase, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lock, "RENEWAL", timedelta(milliseconds=10))
    renewed = threading.Event()
    held = run_lock.RunLock.hold

    def hold(self: run_lock.RunLock, run_id: str, **how: bool) -> None:
        held(self, run_id, **how)
        if threading.current_thread() is not threading.main_thread():
            renewed.set()

    monkeypatch.setattr(run_lock.RunLock, "hold", hold)
    with database.run_lock.kept("first"):
        clock.advance(LEASE.total_seconds() - 1)
        renewed.clear()
        assert renewed.wait(10)
        clock.advance(2)
        with pytest.raises(RunLocked):
            database.run_lock.hold("second")


def test_notes_survive_a_repeated_start_and_end_with_a_new_one(
    database: ControlDatabase, clock: Any
) -> None:
    runs = database.runs
    database.run_lock.hold("r")
    first = runs.start("r", {"tenant_id": "acme"})
    runs.note("r", "plan", {"is_needed": True})
    clock.advance(5)
    again = runs.start("r", {"tenant_id": "acme"})
    assert (again.started_at, again.notes) == (first.started_at, {"plan": {"is_needed": True}})
    ended = runs.finish("r", "failed")
    assert (ended.state, ended.finished_at) == ("failed", clock.now)
    fresh = runs.start("r", {})
    assert (fresh.state, fresh.notes, fresh.finished_at) == ("running", {}, None)
    assert fresh.started_at == clock.now
    assert [run.run_id for run in runs.list()] == ["r"]


@pytest.mark.parametrize("run_id", ["", " ", "a\nb", "x" * 301])
def test_an_id_that_is_none_is_refused(database: ControlDatabase, run_id: str) -> None:
    with pytest.raises(EtaError, match="printable"):
        database.runs.start(run_id, {})


def test_an_unknown_run_is_named(database: ControlDatabase) -> None:
    with pytest.raises(RunNotFound, match="'nobody'"):
        database.runs.note("nobody", "plan", {})
    with pytest.raises(RunNotFound):
        database.runs.finish("nobody", "failed")
