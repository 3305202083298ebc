"""Erasures and runs of the models killed half-way; every erasure ends, and the models still run.

The models are built by real dbt on Spark. In each cycle somebody and three others are added, a run
of the models (`eta prepare`) is killed at a random moment, the person's erasure is asked for and
`eta privacy work` is killed at several random moments. Then it is let alone.
"""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from lakehouse.contracts.tenant import DataType
from lakehouse.settings import find_project_dir
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from tests.support.erasure import TENANT, ErasableLake, interactions, person

KILLS_PER_ERASURE: Final = 4
ITEMS: Final = 5


@dataclass
class ModelKills:
    """What was killed and what became of it."""

    erasures: int = 0
    certificates: int = 0
    runs_killed: int = 0
    erasures_killed: int = 0
    at_step: dict[str, int] = field(default_factory=dict)
    prepares_green: int = 0
    ledger_wrong: int = 0


class Cycles:
    """A home with models; `span`: seconds within which a kill comes."""

    def __init__(
        self, folder: Path, rng: random.Random, span: float, say: Callable[[str], None]
    ) -> None:
        self._rng, self._span, self._say = rng, span, say
        self._home = folder / "home"
        self._lake = ErasableLake(self._home, find_project_dir())
        rows = "".join(f"i{n},thing {n},631238400000\n" for n in range(ITEMS))
        self._lake.upload(f"item_id,title,available_from\n{rows}", DataType.ITEMS)
        self.done = ModelKills()

    def run(self, cycles: int) -> ModelKills:
        """Do so many cycles; an assertion ends it."""
        self._lake.upload(interactions([(person(), n) for n in range(6) for _ in range(4)]))
        self._prepare()
        for number in range(cycles):
            self._say(f"cycle {number + 1} of {cycles}")
            self._cycle()
        self.done.ledger_wrong = len(check_ledger(Lake(self._lake.settings)).wrong)
        assert not self.done.ledger_wrong
        self._lake.close()
        return self.done

    def _cycle(self) -> None:
        gone = person()
        self._lake.fill(gone, [person() for _ in range(3)])
        self.done.runs_killed += self._kill("prepare")
        request = self._lake.erase(gone)
        self.done.erasures += 1
        for _ in range(KILLS_PER_ERASURE):
            self.done.erasures_killed += self._kill("privacy", "work")
            made = self._lake.database.erasures.get(request)
            step = made.step if made.certificate is None else "completed"
            self.done.at_step[step] = self.done.at_step.get(step, 0) + 1
        ended = self._eta("privacy", "work")
        made = self._lake.database.erasures.get(request)
        assert made.state == "completed", (made.state, made.waits_for, ended.stderr[-3_000:])
        assert made.certificate is not None
        entries = self._lake.database.audit.list(TENANT)
        assert [e.subject for e in entries if e.action == "privacy.erased"].count(request) == 1
        self.done.certificates += 1
        self._prepare()

    def _prepare(self) -> None:
        done = self._eta("prepare")
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
        self.done.prepares_green += 1

    def _kill(self, *arguments: str) -> bool:
        """Start a command and kill it at a random moment; return whether it was still alive."""
        running = subprocess.Popen(
            self._command(arguments),
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = monotonic() + self._rng.uniform(1, self._span)
        while monotonic() < deadline and running.poll() is None:
            sleep(0.01)
        was_alive = running.poll() is None
        if was_alive:
            running.send_signal(signal.SIGKILL)
        running.wait()
        return was_alive

    def _eta(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self._command(arguments),
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "lakehouse.cli", *arguments]

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ETA_HOME": str(self._home),
            "DBT_TARGET_PATH": str(self._home / "target"),
            "DBT_LOG_PATH": str(self._home / "logs"),
        }
