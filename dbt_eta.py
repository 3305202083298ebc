"""Lets plain `dbt` work here: finds Java, the Delta jars and the raw tables before Spark starts.

dbt imports every top-level module named `dbt_*` and builds the classes in `plugins` once it has
loaded the project: late enough to know the target, early enough that no JVM runs yet. An
installation copies this file, so all that it does is in the library, which is used as it is.
"""

from dbt.plugins.manager import dbtPlugin


class EtaPlugin(dbtPlugin):  # type: ignore[misc]  # dbt has no types
    """Prepares the environment of this project's own runs; leaves every other project alone."""

    def initialize(self) -> None:
        """Find what the chosen target needs, or raise an error that says what is missing."""
        from lakehouse.training.plugin import prepare_command

        prepare_command(self.project_name)


plugins = [EtaPlugin]
