"""The documentation of the models, built every night and put into a folder or a bucket."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from eta_dags.config import CONFIG
from eta_dags.operators import EtaOperator

with DAG(
    "publish_docs",
    schedule="0 4 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=5)},
    doc_md="Runs `eta docs --output`; `ETA_DOCS_DESTINATION` names another place.",
    tags=["eta", "docs"],
):
    EtaOperator(
        task_id="publish",
        arguments=["docs", "--output", CONFIG.docs_destination],
        priority_weight=1,
    )
