"""What the benchmark asks of Airflow's REST interface."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

POLL_SECONDS = 1.0
PARSE_SECONDS = 180
RUN_SECONDS = 900


class AirflowApi:
    """A logged-in client of one Airflow."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._token: str | None = None
        answer = self._call("POST", "/auth/token", {"username": user, "password": password})
        self._token = answer["access_token"]

    def run_to_end(self, dag_id: str) -> dict[str, Any]:
        """Trigger the DAG as soon as it is known and wait; return its state and its tasks."""
        runs = f"/api/v2/dags/{dag_id}/dagRuns"
        run_id = self._trigger(runs)
        deadline = time.monotonic() + RUN_SECONDS
        while (state := self._call("GET", f"{runs}/{run_id}")["state"]) in ("queued", "running"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{dag_id} is {state} after {RUN_SECONDS} s")
            time.sleep(POLL_SECONDS)
        tasks = self._call("GET", f"{runs}/{run_id}/taskInstances?limit=100")["task_instances"]
        return {"state": state, "tasks": tasks}

    def _trigger(self, runs: str) -> str:
        deadline = time.monotonic() + PARSE_SECONDS
        while True:
            try:
                return str(self._call("POST", runs, {"logical_date": None})["dag_run_id"])
            except urllib.error.HTTPError as error:  # not parsed yet
                if error.code != 404 or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())
