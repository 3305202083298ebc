"""From new rows to published training sets in one process: build, check, publish, measure."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import Any, Protocol

from lakehouse.control.database import ControlDatabase
from lakehouse.control.failed_tests import failed_tests, reasons
from lakehouse.extras import has_extra, how_to_install
from lakehouse.jobs.measure import measure_afterwards
from lakehouse.jobs.tell import note_told, tell_begin, tell_end, tell_published
from lakehouse.lineage.delivery import lineage_of
from lakehouse.quality.gate import run_gate
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.build import build
from lakehouse.training.lake_state import table_versions
from lakehouse.training.prepare import Published, Verdict, publish_changed
from lakehouse.training.run_parameters import RunParameters
from lakehouse.training.run_steps import VERSIONS, end, note_publication
from lakehouse.training.writing import writing_models


class Build(Protocol):
    """What builds and tests the models: `training.build.build`, or one that shows how far it is."""

    def __call__(
        self,
        settings: LakeSettings,
        *,
        tenant_id: str | None = None,
        full_refresh: bool = False,
        variables: Mapping[str, Any] | None = None,
        select: Sequence[str] = (),
        holds_back: bool = False,
    ) -> object:
        """Raise `EtaError` when a model fails, or a test whose tenants are not held back."""
        ...


def prepare(
    settings: LakeSettings,
    parameters: RunParameters,
    *,
    is_strict: bool = False,
    build: Build = build,
    on_step: Callable[[str], None] = lambda _: None,
) -> Published:
    """Build, check and publish as one recorded run, under one lock; then measure quality.

    Strict: a table that would be recomputed as a whole without a request fails the build. A tenant
    that does not pass the checks, or whose rows fail a dbt test, keeps its current snapshot, the
    others are published; where the extra `quality` is not installed all are, a failing test fails
    the build, and `on_step` is told so. Safe to repeat. Raises
    `RunLocked` while another run goes on, `EtaError` when the build fails.
    """
    run_id = f"eta prepare {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {token_hex(3)}"
    variables = {**parameters.variables, **({"strict": True} if is_strict else {})}
    with (
        lineage_of(settings) as lineage,
        closing(ControlDatabase.open(settings.control_url)) as database,
        writing_models(settings, run_id, database),
    ):
        run = database.runs.start(run_id, parameters.given)
        tell_begin(lineage, run)
        database.runs.note(run_id, VERSIONS, table_versions(Lake(settings)))
        is_success = False
        checks = _checks(on_step)
        try:
            build(
                settings,
                tenant_id=parameters.tenant_id,
                full_refresh=parameters.full_refresh,
                variables=variables,
                holds_back=checks is not None,
            )
            failed = list(failed_tests(database.runs.get(run_id).notes))
            published = publish_changed(
                settings,
                None if checks is None else partial(checks, failed=failed),
                lambda: datetime.now(UTC),
                tenant_id=parameters.tenant_id,
                failing=reasons(failed),
                on_step=on_step,
            )
            note_publication(database, run_id, published)
            is_success = True
        finally:
            end(settings, database, run_id, is_success=is_success)
            tell_end(lineage, settings, database.runs.get(run_id))
        tell_published(lineage, published.new, run)
        note_told(lineage, database, run_id)
    measure_afterwards(settings, on_step=on_step)
    return published


def _checks(on_step: Callable[[str], None]) -> Callable[..., Mapping[str, Verdict]] | None:
    """The quality gate; none where its checks are not installed, which is told."""
    if has_extra("quality"):
        return run_gate
    on_step(
        "NOT CHECKED: Soda's checks are not installed, so training sets are published unchecked "
        f"(`gate: null` in their manifests); for them: {how_to_install('quality')}"
    )
    return None
