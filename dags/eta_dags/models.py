"""The one factory of task groups of models: a task per model, which builds and tests it."""

import json
import shlex
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from cosmos import (
    DbtTaskGroup,
    ExecutionConfig,
    LoadMode,
    ProfileConfig,
    ProjectConfig,
    RenderConfig,
)
from cosmos.constants import (
    ExecutionMode,
    InvocationMode,
    TestBehavior,
    TestIndirectSelection,
)

from eta_dags.config import CONFIG
from eta_dags.operators import run_id_of


def model_group(
    name: str,
    folders: Sequence[str],
    *,
    models: Sequence[str] = (),
    execution_mode: ExecutionMode = ExecutionMode.LOCAL,
    target: str = CONFIG.target,
) -> DbtTaskGroup:
    """Return a task group with the models in `folders` of `dbt_project/models` (of `models` alone).

    Rendered from the graph that `eta dags build` writes. A model's task runs in a process of the
    project's own environment, as a part of the DAG run's run (`ETA_RUN_ID`), with the variables
    that its first step, `begin`, has checked.
    """
    if not CONFIG.manifest.is_file():
        raise FileNotFoundError(f"{CONFIG.manifest} is missing: run `uv run eta dags build`")
    is_watched = execution_mode is ExecutionMode.WATCHER
    return DbtTaskGroup(
        group_id=name,
        project_config=ProjectConfig(
            dbt_project_path=CONFIG.project_dir,
            manifest_path=CONFIG.manifest,
            models_relative_path="dbt_project/models",
            install_dbt_deps=False,
        ),
        profile_config=ProfileConfig(
            profile_name="eta",
            target_name=target,
            profiles_yml_filepath=CONFIG.project_dir / "profiles.yml",
        ),
        execution_config=ExecutionConfig(
            execution_mode=execution_mode,
            invocation_mode=InvocationMode.SUBPROCESS,
            dbt_executable_path=str(CONFIG.dbt),
            test_indirect_selection=TestIndirectSelection.BUILDABLE,
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            select=list(models) or [f"path:dbt_project/models/{folder}" for folder in folders],
            test_behavior=TestBehavior.NONE if is_watched else TestBehavior.BUILD,
            emit_datasets=False,
            normalize_task_id=_name_of,
            normalize_task_display_name=_name_of,
        ),
        operator_args={
            "append_env": True,
            # nobody reads the graph and the results that each dbt would write as JSON, for a second
            "env": {
                **CONFIG.variables,
                "DBT_TARGET": target,
                "DBT_WRITE_JSON": "false",
                "ETA_HOLD_BACK_TENANTS": "1",  # rows that fail a test hold back their tenants alone
            },
            "exclude": "test_type:unit",
            "interceptors": [_as_planned],
            "on_failure_callback": _tell_how_to_repeat,
        },
        default_args={
            "pool": CONFIG.spark_pool,
            "retries": 2,
            "retry_delay": timedelta(seconds=30),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=10),
        },
    )


def _name_of(node: Any) -> str:
    return str(node.name)


def _as_planned(context: Any, operator: Any) -> None:
    """Hand dbt what the run's first step has checked, as JSON; Cosmos calls this before dbt."""
    plan = context["ti"].xcom_pull(task_ids="begin", key="plan") or {}
    if plan.get("variables"):
        operator.vars = json.dumps(plan["variables"], sort_keys=True)
    operator.full_refresh = bool(plan.get("full_refresh"))
    operator.env = {**(operator.env or {}), "ETA_RUN_ID": run_id_of(context)}


def _tell_how_to_repeat(context: Any) -> None:
    """Say what failed, for whom, and the command that repeats it in a checkout."""
    task = context["task"]
    plan = context["ti"].xcom_pull(task_ids="begin", key="plan") or {}
    command = ["uv", "run", "dbt", "build", "--target", CONFIG.target]
    command += ["--select", task.task_id.rpartition(".")[2]]
    command += ["--exclude", "test_type:unit"]
    command += ["--full-refresh"] if plan.get("full_refresh") else []
    variables = plan.get("variables")
    command += ["--vars", json.dumps(variables, sort_keys=True)] if variables else []
    task.log.error(
        "The model %s failed, or one of its tests (named above), for %s. To repeat it in %s: %s",
        task.task_id.rpartition(".")[2],
        f"the tenant {plan['tenant_id']}" if plan.get("tenant_id") else "the run of all tenants",
        CONFIG.project_dir,
        shlex.join([f"ETA_RUN_ID={run_id_of(context)}", *command]),
    )
