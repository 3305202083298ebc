"""What this project does at the start of each dbt command, called by the plugin in `dbt_eta.py`."""

from __future__ import annotations

import os
from typing import Final

PROJECT_NAME: Final = "eta"
COMMANDS_WITHOUT_SPARK: Final = frozenset({"clean", "deps", "init", "list", "ls", "parse", "serve"})
"""dbt commands that ask no database anything, by dbt's own names."""


def prepare_command(project_name: str) -> None:
    """Find what this command's target needs, or raise an error that says what is missing.

    Does nothing for another project's commands.
    """
    from dbt.flags import get_flags

    flags = get_flags()
    if project_name != PROJECT_NAME or flags.WHICH in COMMANDS_WITHOUT_SPARK:
        return
    from lakehouse.settings import PRODUCTION
    from lakehouse.spark.one_driver import write_through
    from lakehouse.spark.replace_on import teach_dbt_sessions
    from lakehouse.storage.lake import Lake
    from lakehouse.training.build import COMMANDS_THAT_WRITE
    from lakehouse.training.build_recording import RECORDED, record_build
    from lakehouse.training.targets import hand_over_lake, prepare_target
    from lakehouse.training.writing import given_settings

    settings = given_settings()
    lake = Lake(settings)
    lake.restrict()
    if flags.WHICH in RECORDED and settings.dbt_schema == PRODUCTION:
        record_build(settings, flags.WHICH, flags.VARS or {})

    target = flags.TARGET or os.environ.get("DBT_TARGET") or "dev"
    teach_dbt_sessions(lake if target == "dev" else None)
    prepare_target(settings, target, writes=flags.WHICH in COMMANDS_THAT_WRITE)
    if flags.WHICH in (*COMMANDS_THAT_WRITE, "run-operation"):
        write_through(settings, target)
    hand_over_lake(lake, target)
