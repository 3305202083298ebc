"""The gate between a build and its publication: every check on every tenant in question."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.control.failed_tests import FailedTest
from lakehouse.errors import EtaError
from lakehouse.quality.figures import (
    LAYERS,
    Scope,
    build_parameters,
    drop_views,
    measure,
)
from lakehouse.quality.masking import Masker
from lakehouse.quality.outcomes import Figure, GateResult, verdict
from lakehouse.quality.report import new_report_path, write_report
from lakehouse.quality.rules import known_types, tenant_rules
from lakehouse.quality.samples import take_samples
from lakehouse.quality.soda import Finding, scan
from lakehouse.quality.telling import outcomes
from lakehouse.settings import LakeSettings
from lakehouse.spark.session import opened_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CHECKS_FOLDER: Final = "soda_checks"

_TABLES: Final = {
    "raw": ("raw.interactions", "raw.items", "raw.users", "ops.removals"),
    "staging": ("staging.stg_interactions", "staging.stg_items"),
    "features": (
        "features.user_features",
        "features.item_features",
        "features.item_hours",
        "ops.staging_counts",
    ),
    "training": (
        "training.training_data",
        "training.training_contents",
    ),
}
"""What each layer's figures read, those of earlier layers apart."""

Figures = dict[str, dict[str, dict[str, Figure]]]
"""Layer → tenant → figures."""


def _now() -> datetime:
    return datetime.now(UTC)


def run_gate(
    settings: LakeSettings,
    tenants: Sequence[str] | None = None,
    *,
    layers: Sequence[str] = LAYERS,
    parameters: Mapping[str, Any] | None = None,
    failed: Sequence[FailedTest] = (),
    session: "SparkSession | None" = None,
    clock: Callable[[], datetime] = _now,
) -> dict[str, GateResult]:
    """Check the tenants (None: every one with rows) and return a verdict for each, by id.

    Reads the newest version of the tables, changes none, and writes one report to
    `{home}/reports/gate/{time}.json`. `session` must know the lake's tables; by default that
    of the chosen target does. One run at a time per session: its views have fixed names.
    `layers` are the first of `LAYERS`, or all. `parameters` are the dbt variables that the models
    were built with; by default those that the training data says. `failed` are the dbt tests that
    failed in the run: whose rows they found does not pass, and has a verdict unasked.

    Raises `EtaError` when the models were never built, when a tenant named is known nowhere, and
    when a check could not be evaluated: none of these is a pass.
    """
    wanted = None if tenants is None else tuple(sorted({check_tenant_id(t) for t in tenants}))
    failing = {tenant_id for test in failed for tenant_id in test.tenants}
    if wanted == ():
        told = outcomes((), sorted(failing), {}, failed)
        return {name: verdict(name, *said, {}) for name, said in told.items()}
    if session is None:
        with opened_session(settings) as own:
            return run_gate(
                settings,
                wanted,
                layers=layers,
                parameters=parameters,
                failed=failed,
                session=own,
                clock=clock,
            )
    started_at, began = clock(), time.monotonic()
    _refuse_missing_tables(session, layers)
    known, rules = tenant_rules(settings)
    scope = Scope(wanted, rules, parameters or build_parameters(session), started_at)
    measured, figures, findings = _examine(session, settings.project / CHECKS_FOLDER, scope, layers)
    known |= {tenant_id for rows in figures.values() for tenant_id in rows}
    samples = take_samples(session, findings, Masker(types=known_types(rules)))
    report_path = new_report_path(settings.home_dir, started_at)
    about: dict[str, Any] = {
        "checked_at": started_at.isoformat(),
        "report_file": report_path.relative_to(settings.home_dir).as_posix(),
    }
    names = _tenants(wanted, figures, known, has_unmeasured=measured != tuple(layers))
    names = sorted({*names, *failing})
    results = {
        tenant_id: verdict(
            tenant_id,
            *told,
            {layer: rows[tenant_id] for layer, rows in figures.items() if tenant_id in rows},
            **about,
        )
        for tenant_id, told in outcomes(findings, names, samples, failed).items()
    }
    if not results and measured != tuple(layers):
        raise EtaError(
            "; ".join(f"{finding.table}: {finding.measured}" for finding in findings),
            remedy=f"bring the columns back: `{findings[0].attributes['see']}`",
        )
    seconds = time.monotonic() - began
    write_report(report_path, results, checked_at=started_at, seconds=seconds)
    return results


def _examine(
    session: "SparkSession",
    folder: Path,
    scope: Scope,
    layers: Sequence[str],
) -> tuple[tuple[str, ...], Figures, tuple[Finding, ...]]:
    """Return the layers that could be measured, their figures, and what did not pass."""
    configuration = folder / "configuration.yml"
    misshapen = scan(session, _files(folder, "schema.yml", layers), configuration)
    sound = _layers_before(misshapen, layers)
    if not sound:
        return (), {}, misshapen
    try:
        figures = measure(session, sound, folder, scope)
        findings = scan(session, _files(folder, "tenants.yml", sound), configuration)
    finally:
        drop_views(session)
    return sound, figures, (*misshapen, *findings)


def _files(folder: Path, name: str, layers: Sequence[str]) -> list[Path]:
    return [folder / layer / name for layer in layers]


def _refuse_missing_tables(session: "SparkSession", layers: Sequence[str]) -> None:
    wanted = [name for layer in layers for name in _TABLES[layer]]
    missing = [name for name in wanted if not session.catalog.tableExists(name)]
    if missing:
        raise EtaError(
            f"there is nothing to check yet: {missing[0]} was never built",
            remedy="build the models with `eta prepare`",
        )


def _layers_before(misshapen: Sequence[Finding], layers: Sequence[str]) -> tuple[str, ...]:
    """The layers that can be measured: those before the first with a table of another shape."""
    broken = {finding.layer for finding in misshapen if not finding.is_warning}
    return tuple(takewhile(lambda layer: layer not in broken, layers))


def _tenants(
    wanted: tuple[str, ...] | None,
    figures: Mapping[str, Mapping[str, object]],
    known: Collection[str],
    *,
    has_unmeasured: bool,
) -> list[str]:
    """Whom to give a verdict: who was asked for, else who has rows.

    Where a layer could not be measured, everyone who was ever added counts as having rows.
    """
    if wanted is None:
        measured = {tenant_id for rows in figures.values() for tenant_id in rows}
        return sorted(known if has_unmeasured else measured)
    for tenant_id in wanted:
        if tenant_id not in known and not has_unmeasured:
            raise EtaError(
                f"there is no tenant {tenant_id!r}, neither in the lake nor in the settings",
                remedy="see `eta tenants list`",
            )
    return list(wanted)
