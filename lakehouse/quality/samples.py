"""A few rows of what failed, for the report: bounded in rows, tenants and statements."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from lakehouse.quality.masking import Masker
from lakehouse.quality.outcomes import Figure
from lakehouse.quality.soda import Finding

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS_PER_FAILURE: Final = 5
_MOST_TENANTS: Final = 20
"""Of one check; a failure that more tenants have in common is shown by these."""

Rows = tuple[dict[str, Figure], ...]


def take_samples(
    session: "SparkSession", findings: Iterable[Finding], masker: Masker
) -> Mapping[tuple[str, str], Rows]:
    """Return (check, tenant) → up to `ROWS_PER_FAILURE` masked rows, by one query per failed check.

    A check's `see` is the statement that shows its rows; checks of a table's columns have no
    sample, and warnings only where the check `is_sampled`. Which rows are taken is left to Spark.
    """
    taken: dict[tuple[str, str], list[dict[str, Figure]]] = defaultdict(list)
    for finding in findings:
        is_sampled = not finding.is_warning or finding.attributes.get("is_sampled", False)
        if not is_sampled or not finding.rows:
            continue
        rows = [r for r in finding.rows if (finding.check, str(r["tenant_id"])) not in taken]
        parts = [_of_tenant(finding.see(row), row) for row in rows[:_MOST_TENANTS]]
        if not parts:
            continue
        for found in session.sql(" union all ".join(parts)).collect():
            row = found.asDict()
            taken[finding.check, row.pop("sampled_tenant")].append(masker.row(row))
    return {place: tuple(rows) for place, rows in taken.items()}


def _of_tenant(statement: str, row: Mapping[str, Figure]) -> str:
    # the id was checked, and the statement is one of `soda_checks/`
    tenant = f"select '{row['tenant_id']}' as sampled_tenant, *"
    return f"({tenant} from ({statement}) limit {ROWS_PER_FAILURE})"
