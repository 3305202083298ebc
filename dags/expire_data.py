"""Every night: data that is older than its policy allows leaves the lake."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from eta_dags.operators import EtaOperator

with DAG(
    "expire_data",
    schedule="30 1 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    doc_md="Runs `eta retention expire`, beside ingestion and readers; `keep_tables` then deletes "
    "what nothing pins any more. Lifecycle rules are a person's decision: `eta retention apply`.",
    tags=["eta", "retention"],
):
    EtaOperator(task_id="expire", arguments=["retention", "expire"], priority_weight=1)
