"""Every night: merge small files of ended days, delete what is unused."""

from datetime import datetime, timedelta

from airflow.sdk import DAG, chain

from eta_dags.operators import EtaOperator

with DAG(
    "keep_tables",
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    doc_md="`eta tables compact`, `tables clean`, `tables health`: beside all else. `expire_data`, "
    "an hour before, makes some of what is unused.",
    tags=["eta", "tables"],
):
    chain(
        EtaOperator(task_id="compact", arguments=["tables", "compact"], priority_weight=1),
        EtaOperator(task_id="clean", arguments=["tables", "clean"], priority_weight=1),
        EtaOperator(task_id="health", arguments=["tables", "health"], priority_weight=1, retries=0),
    )
