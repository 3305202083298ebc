"""MovieLens 100k as it comes, through the service and the models, to an exported snapshot."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lakehouse.cli.service_process import running_service
from lakehouse.cli.uploading import UploadClient, UploadOptions
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tenant import EvaluationSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.build import ON_REQUEST, build, run_dbt
from lakehouse.training.evaluation import make_evaluations
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.manifest import EvaluationManifest
from tests.support.movielens import MOVIELENS

TENANT: Final = "movielens"
STAGING: Final = ("stg_interactions", "stg_items", "stg_tenant_settings")


def make_snapshot(file: Path, folder: Path) -> tuple[EvaluationManifest, Path]:
    """Make and export a leave-one-out snapshot in a lake of its own below `folder`."""
    os.environ |= {
        "ETA_HOME": str(folder / "home"),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    settings = LakeSettings()
    settings.home_dir.mkdir(parents=True)
    database = ControlDatabase.open(settings.control_url)
    database.tenants.add(TENANT, settings=MOVIELENS)
    key = database.keys.create(TENANT).secret
    database.close()
    with running_service(folder / "service.log") as url:
        client = UploadClient(url, key, TENANT)
        client.send(file, DataType.INTERACTIONS, UploadOptions(mapping=TENANT))
    staged = run_dbt(settings, ["run", "--select", *STAGING])
    if not staged.success:
        raise RuntimeError("staging failed")

    def run(variables: dict[str, Any]) -> None:
        build(settings, variables=variables, select=[ON_REQUEST])

    wanted = {TENANT: EvaluationSettings(method="leave_one_out")}
    (manifest,) = make_evaluations(settings, wanted, run, lambda: datetime.now(UTC))
    export_snapshot(Lake(settings), manifest, ExportFormat.PARQUET, folder / "export")
    return manifest, folder / "export"
