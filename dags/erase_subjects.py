"""Every hour: carry out the erasures that were asked for."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from eta_dags.operators import EtaOperator

with DAG(
    "erase_subjects",
    schedule="15 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=10)},
    doc_md="Runs `eta privacy work`, beside ingestion, between runs of the models. Fails when an "
    "erasure is open for more than 12 of its 24 hours.",
    tags=["eta", "privacy"],
):
    EtaOperator(task_id="work", arguments=["privacy", "work"])
