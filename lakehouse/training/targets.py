"""What a dbt run needs before its first statement, per target of `profiles.yml`."""

import atexit
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from typing import Final

from lakehouse.control.database import ControlDatabase
from lakehouse.control.opening import existing_database
from lakehouse.settings import LakeSettings
from lakehouse.spark.session import open_local_session
from lakehouse.storage.lake import Lake
from lakehouse.storage.retired import remove_retired_tables

LAKE_CONTENT: Final = "ETA_LAKE_CONTENT"
"""The variable that macros know the lake by (`macros/spark`); no process inherits it from dbt."""


def prepare_target(target: str, *, is_writing: bool = False) -> None:
    """Make this process ready to run dbt against `target` (`dev`, `connect` or `thrift`).

    `dev`: a local Spark session that knows every table of the lake, the raw ones empty where
    nothing was ingested yet. `connect`: the server's address. Either way the models see the
    tenants' newest settings. A command that `is_writing` has the lock of the models until the
    process ends, as a part of its run (`ETA_RUN_ID`) or as a run of its own. Raises `EtaError`
    with a remedy, `RunLocked` while another run goes on.
    """
    settings = LakeSettings()
    lake = Lake(settings)
    with existing_database(settings) as database:
        if database is not None and is_writing:
            _hold_lock(settings, database)
            remove_retired_tables(lake)
        if target == "dev":
            open_local_session(settings)
        elif target == "connect":
            os.environ.setdefault("SPARK_REMOTE", settings.spark_remote)
            # dbt asks for Hive support before every statement; a server has decided that itself
            warnings.filterwarnings("ignore", "Failed to set spark.sql.catalogImplementation")
        if database is not None:
            hand_over_tenant_settings(lake, database)


@contextmanager
def writing_models(settings: LakeSettings) -> Iterator[None]:
    """Hold the lock of the models in this block; raises `RunLocked` while another run goes on.

    Under an id of its own: dbt's plugin, which has a command's lock until the process ends, sees
    that this process holds it already and leaves it alone.
    """
    with existing_database(settings) as database:
        if database is None:
            yield
            return
        with database.run_lock.kept(f"build in process {os.getpid()}", is_of_process=True):
            yield


def hand_over_lake(lake: Lake, target: str) -> None:
    """Tell the macros of this dbt command where the lake is and which tables are in it.

    They make these known to a server through dbt's own connection, however that logs in. The
    session of `dev` knows them.
    """
    from dbt_common.context import get_invocation_context

    from lakehouse.storage.schemas import find_tables

    tables = {} if target == "dev" else find_tables(lake)
    content = {"location": lake.uri(), "tables": tables}
    environment = get_invocation_context().env
    assert isinstance(environment, dict), "dbt keeps the variables of a command in a mapping"
    environment[LAKE_CONTENT] = json.dumps(content)


def hand_over_tenant_settings(lake: Lake, database: ControlDatabase) -> None:
    """Show the models the tenants' newest settings."""
    from lakehouse.training.tenant_settings import publish_tenant_settings

    tenants = {
        tenant.tenant_id: database.tenant_settings(tenant.tenant_id)
        for tenant in database.tenants.list()
    }
    publish_tenant_settings(lake, tenants, datetime.now(UTC))


def _hold_lock(settings: LakeSettings, database: ControlDatabase) -> None:
    """Hold the lock until this process ends; without a run's id, for this process alone."""
    is_own = settings.run_id is None
    run_id = settings.run_id or f"dbt in process {os.getpid()}"
    if not database.run_lock.hold(run_id, is_of_process=is_own):
        return  # `eta prepare`, or whoever runs dbt in this process, holds it
    keeper = ExitStack()
    held = keeper.enter_context(closing(ControlDatabase.open(settings.control_url)))
    keeper.enter_context(held.run_lock.kept(run_id, is_of_process=is_own))
    atexit.register(keeper.close)
