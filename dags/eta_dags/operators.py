"""Tasks that run `eta` commands: arguments as a list, output in the task's log, a clear end."""

import json
import os
import shlex
import signal
import subprocess
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.branch import BranchMixIn
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import Asset, AssetAlias, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from eta_dags.config import CONFIG

TRAINING_SETS = AssetAlias("training_sets")
"""Every training set that a run publishes is an asset of this alias."""
RAW_ARRIVALS = Asset(name="raw_arrivals", uri="eta://raw-arrivals")
"""Updated when some tenant has so many new rows that the models should run."""
ARRIVALS = AssetAlias("arrivals")
"""`raw_arrivals`, and `raw_arrivals.TENANT` of each such tenant, are assets of this alias."""
AHEAD = 1_000
"""Weight of short commands: more than a model and all tasks after it, whichever DAG they are of."""

_KILL_SECONDS = 20
_WRONG_USAGE = 2
_LOCKED = 75
_ASK_AGAIN = timedelta(minutes=1)


class RunLocked(AirflowException):
    """Another run of the models goes on."""


def run_id_of(context: Any) -> str:
    """The id under which `eta` knows a DAG run: the same for every task and every attempt."""
    return f"{context['dag'].dag_id}/{context['run_id']}"


def training_set(tenant_id: str) -> Asset:
    """The asset of a tenant's training set; a DAG may be scheduled on it."""
    return Asset(name=f"training_set.{tenant_id}", uri=f"eta://training-sets/{tenant_id}")


def arrivals_of(tenant_id: str) -> Asset:
    """The asset of a tenant's new rows; a DAG may be scheduled on it."""
    return Asset(name=f"raw_arrivals.{tenant_id}", uri=f"eta://raw-arrivals/{tenant_id}")


class EtaOperator(BaseOperator):
    """Runs `eta` with `arguments`, never through a shell; empty arguments are left out.

    What the command writes to stderr goes to the log, what it writes to stdout too; with
    `is_json` that is a JSON value, and the task's result. The command is a process group of its
    own and ends with the task. Wrong usage (exit code 2) is not tried again. Unless told otherwise
    it is ahead of the models where tasks wait for a place to run.
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
        super().__init__(**{"priority_weight": AHEAD, "weight_rule": "absolute", **kwargs})
        self.arguments = arguments
        self.is_json = is_json
        self.about = about
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> Any:
        """Run the command; return its JSON value, if it has one."""
        return self._call(context, self.arguments)

    def _call(self, context: Any, arguments: Sequence[str]) -> Any:
        run_id = run_id_of(context)
        command = [str(CONFIG.eta), *(part for part in arguments if part)]
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
            failures = {_WRONG_USAGE: AirflowFailException, _LOCKED: RunLocked}
            raise failures.get(code, AirflowException)(
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
    """Begins a run; goes on with `if_needed`, or with `if_nothing_new`.

    While another run goes on it is deferred, which takes no place of a worker or pool, and asks
    again every minute, for as long as a run may take (`ETA_RUN_DEADLINE_HOURS`). In a backfill of
    Airflow's it asks for the days of its data interval.
    """

    inherits_from_skipmixin = True

    def __init__(self, *, if_needed: str, if_nothing_new: str, **kwargs: Any) -> None:
        super().__init__(is_json=True, **kwargs)
        self.if_needed = if_needed
        self.if_nothing_new = if_nothing_new

    def execute(self, context: Any) -> Any:
        """Run the command and branch; the plan's part that tasks need becomes an XCom, `plan`."""
        return self._begin(context, datetime.now(UTC))

    def ask_again(self, context: Any, since: str, **_: Any) -> Any:
        """Do so after a wait that has begun at `since`."""
        return self._begin(context, datetime.fromisoformat(since))

    def _begin(self, context: Any, since: datetime) -> Any:
        days = backfill_of(context["dag_run"], context["params"])
        try:
            plan = self._call(context, [*self.arguments, *days])
        except RunLocked as locked:
            if datetime.now(UTC) - since >= CONFIG.deadline:
                raise AirflowFailException(
                    f"Waited since {since:%Y-%m-%d %H:%M} UTC. {locked}"
                ) from locked
            self.defer(
                trigger=TimeDeltaTrigger(_ASK_AGAIN),
                method_name="ask_again",
                kwargs={"since": since.isoformat()},
            )
        needed = ("variables", "full_refresh", "tenant_id", "reason")
        context["ti"].xcom_push("plan", {name: plan[name] for name in needed})
        return self.do_branch(context, self.if_needed if plan["is_needed"] else self.if_nothing_new)


def backfill_of(dag_run: Any, params: Any) -> list[str]:
    """The arguments of a run of `airflow backfill create`: its interval's days; none of another."""
    if dag_run.run_type != "backfill":
        return []
    if params.get("start_date") or params.get("end_date"):
        raise AirflowFailException(
            "A backfill recomputes the days of its data interval: leave start_date and end_date "
            "out of its configuration, or trigger the DAG with them without a backfill."
        )
    first, end = dag_run.data_interval_start, dag_run.data_interval_end
    last = max(first, end - timedelta(microseconds=1))  # an interval ends before its end
    return [
        f"--start-date={first.astimezone(UTC).date()}",
        f"--end-date={last.astimezone(UTC).date()}",
        f"--asked-at={dag_run.start_date.astimezone(UTC).isoformat()}",
    ]


class ArrivalsOperator(EtaOperator):
    """Looks for new rows; updates the assets of those that are enough, and no other."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(is_json=True, outlets=[ARRIVALS], **kwargs)

    def execute(self, context: Any) -> Any:
        """Run the command; tell Airflow who has enough new rows."""
        due = super().execute(context)
        events = context["outlet_events"][ARRIVALS]
        for tenant_id, rows in sorted(due.items()):
            events.add(arrivals_of(tenant_id), extra={"rows": rows})
        if due:
            events.add(RAW_ARRIVALS, extra={"tenants": len(due), "rows": sum(due.values())})
        return None


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
