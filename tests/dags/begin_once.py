"""Runs in Airflow's environment: what `begin` does in each of the runs given as JSON, as JSON.

A run has its type, its interval and its params; `since` is when its `begin` has begun to wait.
"""

import json
import sys
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from eta_dags.operators import BeginOperator, backfill_of

MOMENTS = ("data_interval_start", "data_interval_end", "start_date")


def begun(run: dict[str, Any]) -> dict[str, Any]:
    moments = {name: datetime.fromisoformat(run[name]) for name in MOMENTS if name in run}
    dag_run = SimpleNamespace(run_type=run["run_type"], **moments)
    dag = SimpleNamespace(dag_id="pipeline")
    params = run.get("params", {})
    context = {"dag": dag, "run_id": "mine", "dag_run": dag_run, "params": params}
    how: dict[str, Any] = {"if_needed": "yes", "if_nothing_new": "no"}
    try:
        if "since" not in run:
            return {"arguments": backfill_of(dag_run, params)}
        begin = BeginOperator(task_id="begin", arguments=["runs", "begin"], **how)
        return {"result": begin.ask_again(context, run["since"], event=None)}
    except TaskDeferred as deferred:
        trigger = deferred.trigger.serialize()[0]
        return {"trigger": trigger, "method": deferred.method_name, "with": deferred.kwargs}
    except AirflowFailException as failure:
        return {"failure": str(failure)}


print(json.dumps([begun(run) for run in json.loads(sys.argv[1])]))
