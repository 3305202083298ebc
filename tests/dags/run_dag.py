"""Runs in Airflow's environment: `run_dag.py FILE DAG LOGICAL_DATE RESULT [CONF]`, as JSON.

A second time with the same date it is the same run of the DAG, cleared: the way a run is resumed.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent, AssetModel
from airflow.utils.session import create_session
from sqlalchemy import select

file, dag_id, when, result = sys.argv[1:5]
conf = json.loads(sys.argv[5]) if len(sys.argv) > 5 else None

moment = datetime.fromisoformat(when)
bag = DagBag(file)
assert not bag.import_errors, bag.import_errors
dag = bag.dags[dag_id]
dag.deadline = None  # apache/airflow#73428
run = dag.test(logical_date=moment, run_after=moment, run_conf=conf)
with create_session() as session:
    assets = [
        (name, event.extra)
        for name, event in session.execute(
            select(AssetModel.name, AssetEvent)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .where(AssetEvent.source_run_id == run.run_id)
        )
    ]
document = {
    "state": str(run.state.value if hasattr(run.state, "value") else run.state),
    "run_id": run.run_id,
    "assets": assets,
    "tasks": [
        {
            "task": ti.task_id,
            "index": ti.rendered_map_index,
            "state": str(ti.state),
            "seconds": ti.duration,
        }
        for ti in sorted(
            run.get_task_instances(), key=lambda ti: (ti.start_date is None, ti.start_date or 0)
        )
    ],
}
Path(result).write_text(json.dumps(document, indent=1), encoding="utf-8")
