"""The gate between a build and its publication: every check on every tenant in question."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.errors import EtaError
from lakehouse.quality.figures import (
    LAYERS,
    Scope,
    TenantRules,
    build_parameters,
    drop_views,
    measure,
)
from lakehouse.quality.outcomes import CheckOutcome, Figure, GateResult, verdict
from lakehouse.quality.report import new_report_path, write_report
from lakehouse.quality.rules import tenant_rules
from lakehouse.quality.soda import Finding, scan
from lakehouse.settings import LakeSettings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CHECKS_FOLDER: Final = "soda_checks"

_TABLES: Final = (
    "raw.interactions",
    "raw.items",
    "staging.stg_interactions",
    "staging.stg_items",
    "training.training_data",
    "training.training_counts",
)

Figures = dict[str, dict[str, dict[str, Figure]]]
"""Layer → tenant → figures."""


def _now() -> datetime:
    return datetime.now(UTC)


def run_gate(
    settings: LakeSettings,
    tenants: Sequence[str] | None = None,
    *,
    session: "SparkSession | None" = None,
    clock: Callable[[], datetime] = _now,
) -> dict[str, GateResult]:
    """Check the tenants (None: every one with rows) and return a verdict for each, by id.

    Reads the newest version of the tables, changes none, and writes one report to
    `{home}/reports/gate/{time}.json`. `session` must know the lake's tables; by default this
    process's own local one does. One run at a time per session: its views have fixed names.

    Raises `EtaError` when the models were never built, when a tenant named is known nowhere, and
    when a check could not be evaluated: none of these is a pass.
    """
    wanted = None if tenants is None else tuple(sorted({check_tenant_id(t) for t in tenants}))
    if wanted == ():
        return {}
    started_at, began = clock(), time.monotonic()
    session = session or _local_session(settings)
    _refuse_missing_tables(session)
    known, rules = tenant_rules(settings)
    layers, figures, findings = _examine(
        session, settings.project_dir / CHECKS_FOLDER, wanted, rules
    )
    known |= {tenant_id for rows in figures.values() for tenant_id in rows}
    report_path = new_report_path(settings.home_dir, started_at)
    about = {
        "checked_at": started_at.isoformat(),
        "report_file": report_path.relative_to(settings.home_dir).as_posix(),
    }
    results = {
        tenant_id: verdict(
            tenant_id,
            _outcomes(findings, tenant_id, is_warning=False),
            _outcomes(findings, tenant_id, is_warning=True),
            {layer: rows[tenant_id] for layer, rows in figures.items() if tenant_id in rows},
            **about,
        )
        for tenant_id in _tenants(wanted, figures, known, has_unmeasured=layers != LAYERS)
    }
    if not results and layers != LAYERS:
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
    wanted: tuple[str, ...] | None,
    rules: Mapping[str, TenantRules],
) -> tuple[tuple[str, ...], Figures, tuple[Finding, ...]]:
    """Return the layers that could be measured, their figures, and what did not pass."""
    configuration = folder / "configuration.yml"
    misshapen = scan(session, _files(folder, "schema.yml", LAYERS), configuration)
    layers = _layers_before(misshapen)
    if not layers:
        return (), {}, misshapen
    try:
        scope = Scope(wanted, rules, build_parameters(session))
        figures = measure(session, layers, folder, scope)
        findings = scan(session, _files(folder, "tenants.yml", layers), configuration)
    finally:
        drop_views(session)
    return layers, figures, (*misshapen, *findings)


def _local_session(settings: LakeSettings) -> "SparkSession":
    from lakehouse.spark.session import open_local_session

    return open_local_session(settings)


def _files(folder: Path, name: str, layers: Sequence[str]) -> list[Path]:
    return [folder / layer / name for layer in layers]


def _refuse_missing_tables(session: "SparkSession") -> None:
    missing = [name for name in _TABLES if not session.catalog.tableExists(name)]
    if missing:
        raise EtaError(
            f"there is nothing to check yet: {missing[0]} was never built",
            remedy="build the models with `eta prepare`",
        )


def _layers_before(misshapen: Sequence[Finding]) -> tuple[str, ...]:
    """The layers that can be measured: those before the first with a table of another shape."""
    broken = {finding.layer for finding in misshapen if not finding.is_warning}
    return tuple(takewhile(lambda layer: layer not in broken, LAYERS))


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


def _outcomes(
    findings: Sequence[Finding], tenant_id: str, *, is_warning: bool
) -> tuple[CheckOutcome, ...]:
    found = []
    for finding in findings:
        if finding.is_warning is not is_warning:
            continue
        if finding.measured is not None:  # a table's columns concern every tenant
            found.append(_of_table(finding))
        found += [_of_row(finding, row) for row in finding.rows if row["tenant_id"] == tenant_id]
    return tuple(found)


def _of_table(finding: Finding) -> CheckOutcome:
    return CheckOutcome(
        check=finding.check,
        layer=finding.layer,
        table=finding.table,
        measured=finding.measured,
        expected="the columns of the contract",
        sentence=f"{finding.table} has not the columns it should have: {finding.measured}.",
        see=finding.attributes["see"],
    )


def _of_row(finding: Finding, row: Mapping[str, Figure]) -> CheckOutcome:
    texts = finding.attributes
    check_tenant_id(str(row["tenant_id"]))  # it becomes part of a command
    return CheckOutcome(
        check=finding.check,
        layer=finding.layer,
        table=finding.table,
        measured=row[texts["measured"]],
        expected=texts["expected"].format_map(row),
        sentence=texts["sentence"].format_map(row),
        see=f'uv run dbt show --inline "{texts["see"].format_map(row)}"',
    )
