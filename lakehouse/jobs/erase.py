"""Carries out erasures: the worker of `privacy`, with the models run in this process."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from lakehouse.control.database import ControlDatabase
from lakehouse.errors import EtaError
from lakehouse.jobs.tell import erasures_told, tell_published
from lakehouse.lineage.delivery import Lineage, lineage_of
from lakehouse.privacy.worker import Progress, Worker
from lakehouse.quality.gate import run_gate
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.build import ON_REQUEST, run_dbt
from lakehouse.training.prepare import publish_changed
from lakehouse.training.withdrawal import withdraw_broken
from lakehouse.training.writing import writing_models


def erase(
    settings: LakeSettings,
    database: ControlDatabase,
    tenant_id: str | None = None,
    *,
    on_step: Callable[[str], None] = lambda _: None,
) -> list[Progress]:
    """Carry out open erasures, of one tenant or of all, as far as possible; see `Worker`."""
    with lineage_of(settings) as lineage:
        models = DbtModels(lineage)
        worker = Worker(settings, database, models, lambda: datetime.now(UTC), on_step)
        with erasures_told(lineage, settings) as done:
            done.extend(worker.work(tenant_id))
        return done


class DbtModels:
    """The project's models, run in this process; see `privacy.erasure_pass.Models`."""

    def __init__(self, lineage: Lineage | None = None) -> None:
        self._lineage = lineage

    @contextmanager
    def locked(self, settings: LakeSettings) -> Iterator[None]:
        """Hold the lock of the models; raises `RunLocked` while a run goes on."""
        with writing_models(settings, f"erasure in process {os.getpid()}"):
            yield
            _end_session()

    def delete(
        self, settings: LakeSettings, tenant_id: str, tables: Sequence[str], subjects: str
    ) -> None:
        """Delete people from tables of the models, by the operation of `macros/privacy`."""
        arguments = {"tenant_id": tenant_id, "tables": list(tables), "subjects": subjects}
        _run(settings, "run-operation", "erase_subjects", "--args", json.dumps(arguments))

    def run(self, settings: LakeSettings) -> None:
        """Bring every model up to date; their tests are a matter of the next run."""
        _run(settings, "run", "--exclude", ON_REQUEST)

    def withdraw(self, settings: LakeSettings, tenant_id: str, now: datetime) -> list[str]:
        """Withdraw published snapshots that cannot be read any more."""
        return withdraw_broken(Lake(settings), tenant_id, now)

    def publish(self, settings: LakeSettings, tenant_id: str) -> str | None:
        """Publish the tenant's training set anew if it passes the gate; return why not, if not."""
        try:
            done = publish_changed(
                settings, run_gate, lambda: datetime.now(UTC), tenant_id=tenant_id
            )
        except EtaError as error:
            return error.message
        if self._lineage is not None:
            tell_published(self._lineage, done.new)
        return done.refused.get(tenant_id)


def _end_session() -> None:
    """End this process's Spark session: its shuffles held rows of the people."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is not None and hasattr(session, "sparkContext"):
        session.stop()


def _run(settings: LakeSettings, *arguments: str) -> None:
    outcome = run_dbt(settings, arguments)
    if not outcome.success:
        raise EtaError(
            f"`dbt {arguments[0]}` failed while people were deleted from the models' tables",
            remedy="`eta prepare` shows what is wrong with the models; then `eta privacy work` "
            "goes on with the erasure",
        )
