"""From what Soda found to what a tenant is told."""

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.control.failed_tests import FailedTest
from lakehouse.quality.outcomes import CheckOutcome, Figure
from lakehouse.quality.samples import Rows
from lakehouse.quality.soda import Finding

Told = tuple[tuple[CheckOutcome, ...], tuple[CheckOutcome, ...]]
"""What failed a tenant, and what warns it and did not fail."""


def outcomes(
    findings: Sequence[Finding],
    tenants: Sequence[str],
    samples: Mapping[tuple[str, str], Rows],
    failed: Sequence[FailedTest] = (),
) -> dict[str, Told]:
    """Return what each of the tenants is told, by its id; each row of a finding is read once.

    A dbt test that failed is a failure of the tenants whose rows it found.
    """
    found: dict[str, list[tuple[Finding, CheckOutcome]]] = {name: [] for name in tenants}
    for finding in findings:
        if finding.measured is not None:  # a table's columns concern every tenant
            of_table = _of_table(finding)
            for told in found.values():
                told.append((finding, of_table))
        for row in finding.rows:
            tenant_id = str(row["tenant_id"])
            if tenant_id in found:
                rows = samples.get((finding.check, tenant_id), ())
                found[tenant_id].append((finding, _of_row(finding, row, rows)))
    said = {name: _split(told) for name, told in found.items()}
    for test in failed:
        for tenant_id in test.tenants.keys() & said.keys():
            failures, warnings = said[tenant_id]
            said[tenant_id] = ((*failures, _of_test(test, tenant_id)), warnings)
    return said


def _split(told: Sequence[tuple[Finding, CheckOutcome]]) -> Told:
    failures = tuple(outcome for finding, outcome in told if not finding.is_warning)
    failed = {outcome.check for outcome in failures}
    warnings = (outcome for finding, outcome in told if finding.is_warning)
    return failures, tuple(one for one in warnings if one.check not in failed)


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


def _of_row(finding: Finding, row: Mapping[str, Figure], samples: Rows) -> CheckOutcome:
    texts = finding.attributes
    threshold = _threshold(finding, row)
    return CheckOutcome(
        check=finding.check,
        layer=finding.layer,
        table=finding.table,
        measured=row[texts["measured"]],
        threshold=threshold,
        expected=texts["expected"].format_map({**row, "threshold": threshold}),
        sentence=texts["sentence"].format_map(row),
        see=f'uv run dbt show --inline "{finding.see(row)}"',
        samples=samples,
    )


def _threshold(finding: Finding, row: Mapping[str, Figure]) -> Figure:
    """The tenant's bound of the check's `limit`, else what `threshold` is or names, else 0."""
    texts: Mapping[str, Any] = finding.attributes
    if "limit" in texts:
        return row[f"{texts['limit']}_{'warn' if finding.is_warning else 'fail'}"]
    stated: Figure = texts.get("threshold", 0)
    return row[stated] if isinstance(stated, str) else stated


def _of_test(test: FailedTest, tenant_id: str) -> CheckOutcome:
    layer, _, _ = test.tables[0].partition(".")
    return CheckOutcome(
        check=test.name,
        layer=layer,
        table=test.tables[0],
        measured=test.tenants[tenant_id],
        threshold=0,
        expected="no row",
        sentence=test.sentence(tenant_id),
        see=f"uv run dbt test --select {test.name} --vars 'tenant_id: {tenant_id}'",
    )
