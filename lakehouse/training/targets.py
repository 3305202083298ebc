"""What a dbt command needs before its first statement, per target of `profiles.yml`."""

import atexit
import json
import os
import warnings
from contextlib import ExitStack
from typing import Final

from lakehouse.control.opening import existing_database
from lakehouse.settings import LakeSettings
from lakehouse.spark.session import open_local_session
from lakehouse.storage.lake import Lake
from lakehouse.training.writing import is_writing, show_tenant_settings, writing_models

LAKE_CONTENT: Final = "ETA_LAKE_CONTENT"
"""The variable that macros know the lake by (`macros/spark`); no process inherits it from dbt."""


def prepare_target(settings: LakeSettings, target: str, *, writes: bool = False) -> None:
    """Make this process ready to run dbt against `target` (`dev`, `connect` or `thrift`).

    `dev`: a local Spark session that knows every table of the lake, the raw ones empty where
    nothing was ingested yet. `connect`: the server's address. Either way the models see the
    tenants' newest settings. A command that `writes` and is no part of a job has the lock of the
    models until the process ends. Raises `EtaError` with a remedy, `RunLocked` while another run
    goes on.
    """
    is_shown = is_writing(settings)
    if writes and not is_shown:
        keeper = ExitStack()
        keeper.enter_context(writing_models(settings))
        atexit.register(keeper.close)
        is_shown = is_writing(settings)
    if target == "dev":
        open_local_session(settings)
    elif target == "connect":
        os.environ.setdefault("SPARK_REMOTE", settings.spark_remote)
        # dbt asks for Hive support before every statement; a server has decided that itself
        warnings.filterwarnings("ignore", "Failed to set spark.sql.catalogImplementation")
    if not is_shown:
        with existing_database(settings) as database:
            if database is not None:
                show_tenant_settings(Lake(settings), database)


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
