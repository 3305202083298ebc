"""Records a run that is one process, as the steps of a scheduler's run record theirs."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from secrets import token_hex

from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.lake_state import table_versions
from lakehouse.training.prepare import Published
from lakehouse.training.run_parameters import RunParameters
from lakehouse.training.run_steps import VERSIONS, end, note_publication
from lakehouse.training.targets import hand_over_tenant_settings


@contextmanager
def recorded_run(
    settings: LakeSettings, parameters: RunParameters
) -> Iterator[Callable[[Published], None]]:
    """Hold the lock in this block and record it as a run; call what it gives once published.

    The lock ends with this process. Raises `RunLocked` while another run goes on.
    """
    lake = Lake(settings)
    run_id = f"eta prepare {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {token_hex(3)}"
    with (
        closing(ControlDatabase.open(settings.control_url)) as database,
        database.run_lock.kept(run_id, is_of_process=True),
    ):
        ensure_tables(lake)
        hand_over_tenant_settings(lake, database)
        database.runs.start(run_id, parameters.given)
        database.runs.note(run_id, VERSIONS, table_versions(lake))
        is_success = False
        try:
            yield lambda published: note_publication(database, run_id, published)
            is_success = True
        finally:
            end(settings, database, run_id, is_success=is_success)
