"""New rows to published training sets, every six hours or earlier: a task per model."""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import (
    DAG,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    Param,
    TriggerRule,
    chain,
)

from eta_dags.alerts import deadline
from eta_dags.config import CONFIG, TENANT_ID_PATTERN
from eta_dags.gate import gate
from eta_dags.models import model_group
from eta_dags.operators import RAW_ARRIVALS, BeginOperator, EtaOperator, PublishOperator

TEXT = ["null", "string"]


with DAG(
    "prepare_training_data",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 */6 * * *", timezone="UTC"), assets=[RAW_ARRIVALS]
    ),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=(CONFIG.project_dir / "docs" / "orchestration.md").read_text(encoding="utf-8"),
    tags=["eta", "training"],
    deadline=deadline(),
    params={
        "tenant_id": Param(None, type=TEXT, pattern=TENANT_ID_PATTERN, description="One tenant"),
        "start_date": Param(None, type=TEXT, format="date", description="Backfill from this day"),
        "end_date": Param(None, type=TEXT, format="date", description="Backfill to this day"),
        "cutoff": Param(None, type=TEXT, description="Only rows known by this time (UTC)"),
        "full_refresh": Param(False, type="boolean", description="Recompute everything"),
    },
):
    names = ("tenant_id", "start_date", "end_date", "cutoff")
    given = [f"--{n.replace('_', '-')}={{{{ params.{n} or '' }}}}" for n in names]
    flag = "{{ '--full-refresh' if params.full_refresh else '' }}"
    begin = BeginOperator(
        task_id="begin",
        arguments=["runs", "begin", *given, flag],
        if_needed="staging",
        if_nothing_new="nothing_new",
    ).as_setup()
    early = gate("early_gate", "--early")
    check = gate("quality_gate", trigger_rule=TriggerRule.NONE_FAILED)
    publish = PublishOperator(task_id="publish", arguments=["runs", "publish"])
    freshness = EtaOperator(
        task_id="freshness",
        arguments=["runs", "freshness", f"--within={CONFIG.freshness_hours:g}"],
        retries=0,
    )
    end = EtaOperator(task_id="end", arguments=["runs", "end"])
    features, training = (
        model_group("features", ["features"]),
        model_group("training", ["training"]),
    )
    reports = model_group("reports", ["ops", "serving"])
    chain(begin, model_group("staging", ["staging"]), early, features, [training, reports], check)
    chain(begin, EmptyOperator(task_id="nothing_new"), check)
    chain(check, publish, freshness, end.as_teardown(setups=begin))
