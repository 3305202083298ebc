"""The models of the benchmark as a DAG of nothing else; `BENCH_MODE` is Cosmos' execution mode."""

import os
from datetime import datetime, timedelta

from airflow.sdk import DAG
from cosmos.constants import ExecutionMode

from eta_dags.models import model_group

MODELS = ["stg_tenant_settings", "stg_interactions", "stg_items", "positives", "item_availability"]

with DAG(
    "overhead",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 0, "retry_delay": timedelta(seconds=1)},
):
    model_group("models", [], models=MODELS, execution_mode=ExecutionMode(os.environ["BENCH_MODE"]))
