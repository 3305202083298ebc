"""What a dbt run needs before its first statement, per target of `profiles.yml`."""

import os
import warnings
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.settings import LakeSettings
from lakehouse.spark.session import open_local_session


def prepare_target(target: str) -> None:
    """Make this process ready to run dbt against `target` (`dev`, `connect` or `thrift`).

    `dev`: a local Spark session that knows every table of the lake, the raw ones empty where
    nothing was ingested yet. `connect`: the server's address. Either way the models see the
    tenants' newest settings. Raises `EtaError` with a remedy.
    """
    settings = LakeSettings()
    if target == "dev":
        open_local_session(settings)
    elif target == "connect":
        os.environ.setdefault("SPARK_REMOTE", settings.spark_remote)
        # dbt asks for Hive support before every statement; a server has decided that for itself
        warnings.filterwarnings("ignore", "Failed to set spark.sql.catalogImplementation")
    _hand_over_tenant_settings(settings)


def _hand_over_tenant_settings(settings: LakeSettings) -> None:
    if settings.database_url is None and not Path(settings.home_dir / "control.db").is_file():
        return  # no tenant was ever added
    from lakehouse.control.database import ControlDatabase
    from lakehouse.training.tenant_settings import publish_tenant_settings

    database = ControlDatabase.open(settings.control_url)
    try:
        tenants = {
            tenant.tenant_id: database.tenant_settings(tenant.tenant_id)
            for tenant in database.tenants.list()
        }
    finally:
        database.close()
    publish_tenant_settings(settings, tenants, datetime.now(UTC))
