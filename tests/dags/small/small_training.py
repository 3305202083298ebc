"""The pipeline without its early gate and its views, of the same parts, for tests."""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TriggerRule, chain

from eta_dags.gate import gate
from eta_dags.models import model_group
from eta_dags.operators import BeginOperator, EtaOperator, PublishOperator

TRAINING = [
    *("item_availability", "training_data", "training_examples"),
    *("training_users", "user_histories", "training_contents"),
]

with DAG(
    "small_training",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"tenant_id": Param(None, type=["null", "string"])},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
):
    begin = BeginOperator(
        task_id="begin",
        arguments=["runs", "begin", "--tenant-id={{ params.tenant_id or '' }}"],
        if_needed="staging",
        if_nothing_new="nothing_new",
        retries=0,
    ).as_setup()
    check = gate("quality_gate", trigger_rule=TriggerRule.NONE_FAILED)
    publish = PublishOperator(task_id="publish", arguments=["runs", "publish"])
    freshness = EtaOperator(task_id="freshness", arguments=["runs", "freshness"], retries=0)
    end = EtaOperator(task_id="end", arguments=["runs", "end"])
    staging, features, reports = (
        model_group(name, [folder])
        for name, folder in (("staging", "staging"), ("features", "features"), ("reports", "ops"))
    )
    training = model_group("training", [], models=TRAINING)
    chain(begin, staging, features, [training, reports], check)
    chain(begin, EmptyOperator(task_id="nothing_new"), check)
    chain(check, publish, freshness, end.as_teardown(setups=begin))
