"""The models of the benchmark as DAGs of nothing else, one for each place where dbt may run."""

from datetime import datetime

from airflow.sdk import DAG
from cosmos.constants import ExecutionMode

from eta_dags.models import model_group

MODELS = [
    "stg_tenant_settings",
    "stg_interactions",
    "stg_items",
    "stg_users",
    "training_data",
    "item_availability",
]
PLACES = {
    "connect": (ExecutionMode.LOCAL, "connect"),
    "thrift": (ExecutionMode.LOCAL, "thrift"),
    "session": (ExecutionMode.LOCAL, "dev"),
    "watcher": (ExecutionMode.WATCHER, "connect"),
}

for name, (mode, target) in PLACES.items():
    with DAG(
        f"overhead_{name}",
        schedule=None,
        start_date=datetime(2026, 1, 1),
        is_paused_upon_creation=False,
        default_args={"retries": 0},
    ) as dag:
        model_group("models", [], models=MODELS, execution_mode=mode, target=target)
    globals()[name] = dag
