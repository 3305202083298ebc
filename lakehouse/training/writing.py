"""A process writes the models as one job: one lock, and one hand-over of its settings.

dbt makes our plugin without arguments, in whatever process runs dbt. So what a job has decided
stands here as long as it goes on, for all that it calls, the plugin included. In a plain `dbt run`
the plugin finds nothing here: then that process is a job of its own until it ends.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Final

from lakehouse.control.database import ControlDatabase
from lakehouse.control.opening import existing_database
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.retired import remove_retired_tables
from lakehouse.storage.tables import ensure_tables

_given: Final[list[LakeSettings]] = []
_written: Final[set[str]] = set()


def given_settings() -> LakeSettings:
    """The settings of the job whose dbt runs in this process; of the environment without one."""
    return _given[-1] if _given else LakeSettings()


@contextmanager
def handing_over(settings: LakeSettings) -> Iterator[None]:
    """Have dbt's plugin work with these settings in this block."""
    _given.append(settings)
    try:
        yield
    finally:
        _given.pop()


def is_writing(settings: LakeSettings) -> bool:
    """Whether this process holds the lock of the lake's models already."""
    return settings.control_url in _written


@contextmanager
def writing_models(
    settings: LakeSettings, run_id: str | None = None, database: ControlDatabase | None = None
) -> Iterator[None]:
    """Hold the lock of the models in this block, and show them the tenants' newest settings.

    As the run `run_id`, which ends with this process; else as a step of the scheduler's run
    (`ETA_RUN_ID`), else as this process. Does nothing inside of another such block, or before a
    tenant was ever added. Raises `RunLocked` while another run goes on.
    """
    if is_writing(settings):
        yield
        return
    opened = existing_database(settings) if database is None else nullcontext(database)
    with opened as found:
        if found is None:
            yield
            return
        name = run_id or settings.run_id or f"dbt in process {os.getpid()}"
        is_own = run_id is not None or settings.run_id is None
        with found.run_lock.kept(name, is_of_process=is_own):
            _written.add(settings.control_url)
            try:
                lake = Lake(settings)
                ensure_tables(lake)
                remove_retired_tables(lake)
                show_tenant_settings(lake, found)
                yield
            finally:
                _written.discard(settings.control_url)


def show_tenant_settings(lake: Lake, database: ControlDatabase) -> None:
    """Show the models the tenants' newest settings."""
    from lakehouse.training.tenant_settings import publish_tenant_settings

    publish_tenant_settings(lake, database.tenants.all_settings(), datetime.now(UTC))
