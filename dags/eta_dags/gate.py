"""The quality gate as tasks: one that checks every tenant, and one for each that did not pass."""

from typing import Any

from airflow.sdk import TaskGroup, TriggerRule

from eta_dags.operators import EtaOperator


def gate(name: str, *options: str, trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS) -> Any:
    """Return the task that checks; what follows it goes on with the tenants that passed.

    Beside it `held_back` has a failed task for each other tenant, named after it, whose log says
    which check failed on what table, what was measured, and how to see it. It makes the run fail
    and holds nothing up.
    """
    with TaskGroup(name):
        check = EtaOperator(
            task_id="check",
            arguments=["runs", "check", *options],
            is_json=True,
            trigger_rule=trigger_rule,
        )
        EtaOperator.partial(
            task_id="held_back", retries=0, map_index_template="{{ task.about }}"
        ).expand_kwargs(
            check.output.map(
                lambda tenant_id: {
                    "arguments": ["runs", "verdict", *options, "--tenant", tenant_id],
                    "about": tenant_id,
                }
            )
        )
    return check
