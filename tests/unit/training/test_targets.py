"""What a dbt run of this process leaves behind for the next."""

import time
from contextlib import closing
from datetime import timedelta

import pytest

from lakehouse.control import run_lock
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.targets import prepare_target
from lakehouse.training.writing import writing_models


def test_the_lock_of_a_build_ends_with_it_and_is_renewed_no_more(
    settings: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that goes on after its build must not keep others from building."""
    monkeypatch.setattr(run_lock, "RENEWAL", timedelta(milliseconds=10))
    ensure_tables(Lake(settings))
    with closing(ControlDatabase.open(settings.control_url)) as database:
        with writing_models(settings):
            prepare_target(settings, "thrift", writes=True)  # as dbt's plugin does in such a build
            assert database.run_lock.holder() is not None
        time.sleep(0.3)
        assert database.run_lock.holder() is None
