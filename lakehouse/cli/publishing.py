"""Builds the models and publishes the training sets, for the commands that end with one."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import typer

from lakehouse.cli.building import build_with_progress
from lakehouse.cli.measuring import measure_quality
from lakehouse.cli.output import note
from lakehouse.quality.gate import run_gate
from lakehouse.settings import LakeSettings
from lakehouse.training.prepare import Published, prepare
from lakehouse.training.run_parameters import read_parameters
from lakehouse.training.run_recording import recorded_run


def prepare_and_tell(
    settings: LakeSettings,
    *,
    tenant_id: str | None = None,
    full_refresh: bool = False,
    variables: Mapping[str, Any] | None = None,
    is_strict: bool = False,
) -> Published:
    """Build, check and publish as one recorded run; say on stderr what became of each tenant.

    Strict: a table that would be recomputed as a whole without a request fails the build. Raises
    `RunLocked` while another run goes on.
    """
    given = {"tenant_id": tenant_id, "full_refresh": full_refresh, **(variables or {})}
    with recorded_run(settings, read_parameters(given)) as record:
        wanted = {**(variables or {}), **({"strict": True} if is_strict else {})}
        published = _prepare(settings, tenant_id, full_refresh, wanted)
        record(published)
    measure_quality(settings)
    return published


def _prepare(
    settings: LakeSettings,
    tenant_id: str | None,
    full_refresh: bool,
    variables: Mapping[str, Any],
) -> Published:
    def build() -> None:
        build_with_progress(
            settings, tenant_id=tenant_id, full_refresh=full_refresh, variables=variables
        )

    published = prepare(
        settings, build, run_gate, lambda: datetime.now(UTC), tenant_id=tenant_id, on_step=note
    )
    for manifest in published.new:
        note(
            f"{manifest.tenant_id}: published {manifest.snapshot_id}, "
            f"{manifest.counts.positives:,} positives, {manifest.counts.negatives:,} negatives"
        )
    for manifest in published.unchanged:
        note(f"{manifest.tenant_id}: unchanged, {manifest.snapshot_id} stays current")
    for name, reason in published.refused.items():
        note(f"{name}: NOT published, its earlier snapshot stays current: {reason}")
    return published


def end_if_refused(published: Published) -> None:
    """End the command with exit code 1 when the gate refused a tenant."""
    if not published.is_success:
        note("What to do: `eta gate` shows each failed check and a command that shows more.")
        raise typer.Exit(1)
