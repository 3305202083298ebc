"""Kills erasures: `eta privacy work` in a process of its own, ended by kill -9 at any moment."""

import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from time import monotonic, sleep

from tests.support.erasure import TENANT, ErasableLake, person, state_of_others

LONGEST = 120.0


@dataclass
class Killed:
    """What became of an erasure that was killed."""

    seconds: float
    step: str
    was_alive: bool


def kill_erasure(lake: ErasableLake, rng: random.Random, span: float) -> Killed:
    """Erase somebody, kill it within `span` seconds of its first step, and let it be finished.

    Checks that it ends with one certificate, nothing of the person and all of the others.
    """
    gone = person()
    others = [person() for _ in range(3)]
    lake.fill(gone, others)
    before = state_of_others(lake, [gone])
    request = lake.erase(gone)
    killed = _run_and_kill(lake, rng.uniform(0, span), request)
    done = lake.work()
    if killed.was_alive or done:
        assert all(progress.completed for progress in done), done
    made = lake.database.erasures.get(request)
    assert made.state == "completed"
    assert made.certificate is not None
    assert made.certificate["rows_deleted"] == {
        "raw.interactions": 9,
        "raw.clickstream": 2,
        "raw.users": 0,
        "raw.quarantine": 1,
    }, killed
    ended = [e for e in lake.database.audit.list(TENANT) if e.action == "privacy.erased"]
    assert [entry.subject for entry in ended].count(request) == 1
    assert lake.search(gone).findings == ()
    assert state_of_others(lake, [gone]) == before
    return killed


def _run_and_kill(lake: ErasableLake, seconds: float, request: str) -> Killed:
    command = [sys.executable, "-m", "lakehouse.cli", "privacy", "work"]
    environment = {
        **os.environ,
        "ETA_HOME": str(lake.home),
        "ETA_PROJECT_DIR": str(lake.settings.project),
        "DBT_TARGET_PATH": str(lake.home / "target"),
    }
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    try:
        first = running.stderr.readline()  # its first step
        assert "fence" in first, first + running.stderr.read()
        begun = monotonic()
        while monotonic() - begun < seconds and running.poll() is None:
            sleep(0.001)
    finally:
        was_alive = running.poll() is None
        running.send_signal(signal.SIGKILL) if was_alive else None
        running.wait(LONGEST)
        running.stderr.close()
    return Killed(seconds, lake.database.erasures.get(request).step, was_alive)
