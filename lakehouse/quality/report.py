"""The gate's report on disk: one JSON file per run, figures only."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.quality.outcomes import GateResult


def new_report_path(home: Path, moment: datetime) -> Path:
    """Return where the report of a run begun at `moment` goes; times sort as names do."""
    return home / "reports" / "gate" / f"{moment.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}.json"


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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
