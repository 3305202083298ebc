"""Every hour: whether what arrived is fit for the next run of the models."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from eta_dags.operators import EtaOperator

with DAG(
    "check_quality",
    schedule="45 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=5)},
    doc_md="Runs `eta gate --until raw`, which reads and changes nothing, and fails when a tenant "
    "does: its log says which, and why the next `prepare_training_data` would hold it back. "
    "Beside it `eta quality refresh` measures what came since the last time.",
    tags=["eta", "quality"],
):
    EtaOperator(task_id="gate", arguments=["gate", "--until", "raw"])
    EtaOperator(task_id="measure", arguments=["quality", "refresh"])
