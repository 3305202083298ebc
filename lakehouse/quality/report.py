"""The gate's report on disk: one JSON file per run, with figures and masked rows."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from lakehouse.quality.outcomes import GateResult
from lakehouse.storage.report_files import stamp, write_report_file


def new_report_path(home: Path, moment: datetime) -> Path:
    """Return where the report of a run begun at `moment` goes; times sort as names do."""
    return gate_folder(home) / f"{stamp(moment)}.json"


def gate_folder(home: Path) -> Path:
    """Return where the reports of the gate are."""
    return home / "reports" / "gate"


def write_report(
    path: Path, results: Mapping[str, GateResult], *, checked_at: datetime, seconds: float
) -> None:
    """Write the report whole or not at all."""
    document = {
        "checked_at": checked_at.isoformat(),
        "seconds": round(seconds, 2),
        "passed": all(result.passed for result in results.values()),
        "tenants": [results[tenant_id].report for tenant_id in sorted(results)],
    }
    write_report_file(path, document)
