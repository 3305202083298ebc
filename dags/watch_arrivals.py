"""Every ten minutes: whether so many rows came that the models should run before their hour."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from eta_dags.config import CONFIG
from eta_dags.operators import ArrivalsOperator

with DAG(
    "watch_arrivals",
    schedule="*/10 * * * *" if CONFIG.run_after_rows else None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=1)},
    doc_md="Runs `eta runs arrivals --announce`: a tenant with at least `ETA_RUN_AFTER_ROWS` new "
    "rows updates the asset `raw_arrivals`, and `prepare_training_data` begins. Without that "
    "setting this DAG has no schedule, and the models run by time alone.",
    tags=["eta", "training"],
):
    ArrivalsOperator(
        task_id="look", arguments=["runs", "arrivals", f"--announce={CONFIG.run_after_rows or 1}"]
    )
