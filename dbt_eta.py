"""Lets plain `dbt` work here: finds Java, the Delta jars and the raw tables before Spark starts.

dbt imports every top-level module named `dbt_*` and builds the classes in `plugins` once it has
loaded the project: late enough to know the target, early enough that no JVM runs yet.
"""

import os

from dbt.plugins.manager import dbtPlugin

PROJECT_NAME = "eta"
COMMANDS_WITHOUT_SPARK = frozenset({"deps", "clean", "parse", "list", "init"})


class EtaPlugin(dbtPlugin):  # type: ignore[misc]  # dbt has no types
    """Prepares the environment of this project's own runs; leaves every other project alone."""

    def initialize(self) -> None:
        """Find what the chosen target needs, or raise an error that says what is missing."""
        from dbt.flags import get_flags

        flags = get_flags()
        if self.project_name != PROJECT_NAME or flags.WHICH in COMMANDS_WITHOUT_SPARK:
            return
        from lakehouse.permissions import restrict_files
        from lakehouse.settings import LakeSettings
        from lakehouse.training.build import COMMANDS_THAT_WRITE
        from lakehouse.training.build_recording import RECORDED, record_build
        from lakehouse.training.targets import prepare_target

        restrict_files(LakeSettings())
        if flags.WHICH in RECORDED:
            record_build(flags.WHICH, flags.VARS or {})

        target = flags.TARGET or os.environ.get("DBT_TARGET") or "dev"
        prepare_target(target, is_writing=flags.WHICH in COMMANDS_THAT_WRITE)


plugins = [EtaPlugin]
