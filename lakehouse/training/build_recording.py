"""Keeps what dbt made of each model and test, whoever runs dbt.

dbt tells its events to listeners. Ours is added by the plugin that every dbt process of the project
loads, so plain `dbt build`, `eta prepare` and a scheduler's tasks are recorded alike.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import psutil

from lakehouse.control.opening import existing_database
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.build_reports import BuildReport, NodeResult, write_build_report
from lakehouse.training.failed_tests import holds_back, noting

RECORDED: Final = frozenset({"build", "run", "test", "retry"})
"""dbt commands that are recorded."""

_log = logging.getLogger(__name__)


def record_build(settings: LakeSettings, command: str, variables: Mapping[str, Any]) -> None:
    """Have the rest of this dbt command written to a report once it is over.

    dbt drops its listeners between two commands of one process. A run that holds back tenants has
    failing tests noted, too; raises `EtaError` where there is no such run.
    """
    from dbt_common.events.event_manager_client import add_callback_to_manager

    add_callback_to_manager(recorder(settings, command, variables, datetime.now(UTC)))
    if holds_back():
        add_callback_to_manager(noting(settings, _run_id(settings)))


def recorder(
    settings: LakeSettings, command: str, variables: Mapping[str, Any], started_at: datetime
) -> Callable[[Any], None]:
    """Return a listener to dbt's events; a report that cannot be written is told in the log."""
    nodes: list[NodeResult] = []
    began_at = _processor_seconds()

    def receive(message: Any) -> None:
        if message.info.name == "NodeFinished":
            if message.data.node_info.materialized != "ephemeral":  # nothing is run for those
                nodes.append(_node(message.data))
        elif message.info.name == "CommandCompleted" and nodes:
            try:
                report = BuildReport(
                    run_id=_run_id(settings),
                    tenant_id=variables.get("tenant_id"),
                    command=command,
                    started_at=started_at,
                    seconds=round(message.data.elapsed, 2),
                    is_success=message.data.success,
                    nodes=tuple(nodes),
                    processor_seconds=round(_processor_seconds() - began_at, 2)
                    if settings.spark_target == "dev"
                    else None,
                )
                write_build_report(settings.home_dir, report)
            except (EtaError, OSError) as error:  # the models are built: dbt must not fail for this
                _log.warning("the build was not recorded: %s", error)

    return receive


def _processor_seconds() -> float:
    """Seconds of this process and of those that it started and that still run, as Spark does."""
    process = psutil.Process()
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


def _node(data: Any) -> NodeResult:
    result = data.run_result
    kind = data.node_info.resource_type
    response = dict(result.adapter_response) if kind == "model" else {}
    rows = response.get("rows_affected")
    return NodeResult(
        name=data.node_info.node_name,
        kind=kind,
        status=str(result.status),
        seconds=round(result.execution_time, 2),
        failures=result.num_failures if kind == "test" else None,
        mode=response.get("code") or None,
        rows=int(rows) if rows is not None and rows >= 0 else None,
    )


def _run_id(settings: LakeSettings) -> str | None:
    """The scheduler's run, else the one that holds the lock of the models while dbt writes."""
    if settings.run_id is not None:
        return settings.run_id
    with existing_database(settings) as database:
        holder = None if database is None else database.run_lock.holder()
    return None if holder is None else holder.run_id
