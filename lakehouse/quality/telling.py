"""From what Soda found to what a tenant is told."""

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.quality.outcomes import CheckOutcome, Figure
from lakehouse.quality.samples import Rows
from lakehouse.quality.soda import Finding


def outcomes(
    findings: Sequence[Finding], tenant_id: str, samples: Mapping[tuple[str, str], Rows]
) -> tuple[tuple[CheckOutcome, ...], tuple[CheckOutcome, ...]]:
    """Return what failed the tenant, and what warns it and did not fail."""
    failures: list[CheckOutcome] = []
    warnings: list[CheckOutcome] = []
    for finding in findings:
        told = warnings if finding.is_warning else failures
        if finding.measured is not None:  # a table's columns concern every tenant
            told.append(_of_table(finding))
        for row in finding.rows:
            if row["tenant_id"] == tenant_id:
                told.append(_of_row(finding, row, samples.get((finding.check, tenant_id), ())))
    failed = {outcome.check for outcome in failures}
    return tuple(failures), tuple(w for w in warnings if w.check not in failed)


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
