"""Tenants whose rows fail a dbt test: noted in the run, whose gate holds them back.

A failing test of plain dbt stops every model behind it, and so every tenant. In a run of ours
(`ETA_HOLD_BACK_TENANTS`) it warns, and its response names the tenants (`macros/tests`). They are
noted with the run in the control database, as each of a scheduler's tasks is a process of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from lakehouse.control.failed_tests import (
    FailedTest,
    failed_tests,
    note_failed,
    note_passed,
)
from lakehouse.control.opening import existing_database
from lakehouse.control.runs import RunNotFound
from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from lakehouse.control.runs import Runs
    from lakehouse.settings import LakeSettings

HOLD_BACK: Final = "ETA_HOLD_BACK_TENANTS"
"""The variable by which a run asks for it: `1`."""

_UNTESTED: Final = ("error", "runtime error", "skipped")


def holds_back() -> bool:
    """Whether tests that fail hold back their tenants in this process's dbt."""
    return os.environ.get(HOLD_BACK) == "1"


def noting(settings: LakeSettings, run_id: str | None) -> Callable[[Any], None]:
    """Return a listener to dbt's events that notes failing tests with the run, and passing again.

    It writes when the command is over, and what cannot be noted ends the command with the error:
    a tenant would else be published though its rows fail. Raises `EtaError` without a run.
    """
    if run_id is None:
        raise EtaError(
            f"{HOLD_BACK} is set, but this command is part of no run that could hold tenants back",
            remedy=f"unset {HOLD_BACK}: a failing test then fails the command; or name a run that "
            "was begun in ETA_RUN_ID",
        )
    ended: dict[str, Mapping[str, Any]] = {}

    def receive(message: Any) -> None:
        if message.info.name == "NodeFinished":
            node, result = message.data.node_info, message.data.run_result
            if node.resource_type == "test" and str(result.status) not in _UNTESTED:
                ended[node.node_name] = dict(result.adapter_response)
        elif message.info.name == "CommandCompleted" and ended:
            with existing_database(settings) as database:
                if database is None:
                    raise RunNotFound(run_id)
                _note(database.runs, run_id, ended)

    return receive


def _note(runs: Runs, run_id: str, ended: Mapping[str, Mapping[str, Any]]) -> None:
    before = {test.name for test in failed_tests(runs.get(run_id).notes)}
    for name, response in sorted(ended.items()):
        said = response.get("code")
        if isinstance(said, str) and said.startswith("{"):
            note_failed(runs, run_id, FailedTest(name, **json.loads(said)))
        elif name in before:
            note_passed(runs, run_id, name)
