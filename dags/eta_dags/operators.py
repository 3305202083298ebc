"""Tasks that run `eta` commands: arguments as a list, output in the task's log, a clear end."""

import json
import os
import shlex
import signal
import subprocess
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from airflow.providers.standard.operators.branch import BranchMixIn
from airflow.sdk import Asset, AssetAlias, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from eta_dags.config import CONFIG

TRAINING_SETS = AssetAlias("training_sets")
"""Every training set that a run publishes is an asset of this alias."""

_KILL_SECONDS = 20
_WRONG_USAGE = 2


def run_id_of(context: Any) -> str:
    """The id under which `eta` knows a DAG run: the same for every task and every attempt."""
    return f"{context['dag'].dag_id}/{context['run_id']}"


def training_set(tenant_id: str) -> Asset:
    """The asset of a tenant's training set; a DAG may be scheduled on it."""
    return Asset(name=f"training_set.{tenant_id}", uri=f"eta://training-sets/{tenant_id}")


class EtaOperator(BaseOperator):
    """Runs `eta` with `arguments`, never through a shell; empty arguments are left out.

    What the command writes to stderr goes to the log, what it writes to stdout too; with
    `is_json` that is a JSON value, and the task's result. The command is a process group of its
    own and ends with the task. Wrong usage (exit code 2) is not tried again.
    """

    template_fields: Sequence[str] = ("arguments",)
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        arguments: Sequence[str],
        is_json: bool = False,
        about: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = arguments
        self.is_json = is_json
        self.about = about
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> Any:
        """Run the command; return its JSON value, if it has one."""
        run_id = run_id_of(context)
        command = [str(CONFIG.eta), *(part for part in self.arguments if part)]
        told = shlex.join([f"ETA_RUN_ID={run_id}", "uv", "run", "eta", *command[1:]])
        self.log.info("Running, as you may in %s: %s", CONFIG.project_dir, told)
        self._process = subprocess.Popen(
            command,
            cwd=CONFIG.project_dir,
            env={**os.environ, **CONFIG.variables, "ETA_RUN_ID": run_id},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        lines: deque[str] = deque(maxlen=20)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            lines.append(line.rstrip())
            self.log.info("%s", lines[-1])
        code = self._process.wait()
        if code:
            failure = AirflowFailException if code == _WRONG_USAGE else AirflowException
            raise failure(
                "\n".join([*lines, f"(exit code {code}) To repeat it in a checkout: {told}"])
            )
        return json.loads(lines[-1]) if self.is_json else None

    def on_kill(self) -> None:
        """End the command with everything it has started."""
        if self._process is None or self._process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


class BeginOperator(EtaOperator, BranchMixIn):
    """Begins a run; goes on with `if_needed`, or with `if_nothing_new`."""

    inherits_from_skipmixin = True

    def __init__(self, *, if_needed: str, if_nothing_new: str, **kwargs: Any) -> None:
        super().__init__(is_json=True, **kwargs)
        self.if_needed = if_needed
        self.if_nothing_new = if_nothing_new

    def execute(self, context: Any) -> Any:
        """Run the command and branch; the plan's part that tasks need becomes an XCom, `plan`."""
        plan = super().execute(context)
        needed = ("variables", "full_refresh", "tenant_id", "reason")
        context["ti"].xcom_push("plan", {name: plan[name] for name in needed})
        return self.do_branch(context, self.if_needed if plan["is_needed"] else self.if_nothing_new)


class PublishOperator(EtaOperator):
    """Publishes; the asset of each training set that is new is updated, and no other."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(is_json=True, outlets=[TRAINING_SETS], **kwargs)

    def execute(self, context: Any) -> Any:
        """Run the command; tell Airflow what was published."""
        done = super().execute(context)
        for tenant_id, snapshot_id in sorted(done["new"].items()):
            context["outlet_events"][TRAINING_SETS].add(
                training_set(tenant_id), extra={"snapshot_id": snapshot_id}
            )
        return done
