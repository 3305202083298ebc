"""The gate's earlier verdicts, from its report files and from what runs have noted.

A run of a scheduler notes its verdicts in the control database, which another machine can read too;
the files hold every run of the gate, with all figures.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from lakehouse.control.runs import ModelRun
from lakehouse.quality.document import Check, GateVerdict
from lakehouse.quality.report import gate_folder
from lakehouse.storage.report_files import newest_report_files

MAX_BYTES: Final = 32 * 1024 * 1024
"""Of one report file; a larger one is left out. A tenant takes about 3 kB."""

_NOTES: Final = ("gate", "early_gate")


def gate_reports(
    home: Path, *, since: datetime, limit: int, tenant_id: str | None = None
) -> list[dict[str, Any]]:
    """Return the verdicts of the newest report files, newest file first, as they are.

    Of one tenant, or of all (None). One file is in memory at a time.
    """
    files = newest_report_files(gate_folder(home), since=since, limit=limit)
    return [
        found
        for file in files
        for found in _tenants(file)
        if tenant_id is None or found.get("tenant_id") == tenant_id
    ]


def noted_verdicts(runs: Sequence[ModelRun], tenant_id: str) -> list[dict[str, Any]]:
    """Return what the runs noted of the tenant's checks, without figures."""
    held = [
        run.notes[name].get("tenants", {}) for run in runs for name in _NOTES & run.notes.keys()
    ]
    return [tenants[tenant_id]["report"] for tenants in held if tenant_id in tenants]


def verdicts(found: Sequence[Mapping[str, Any]], tenant_id: str, limit: int) -> list[GateVerdict]:
    """Return the tenant's verdicts, newest first, each once (the first of equal time counts).

    One that is none, as of a file written by hand, is left out.
    """
    by_time: dict[datetime, GateVerdict] = {}
    for entry in found:
        if entry.get("tenant_id") != tenant_id:
            continue
        with suppress(KeyError, TypeError, ValueError):
            verdict = _verdict(entry)
            by_time.setdefault(verdict.checked_at, verdict)
    ordered = sorted(by_time.values(), key=lambda verdict: verdict.checked_at, reverse=True)
    return ordered[:limit]


def _verdict(entry: Mapping[str, Any]) -> GateVerdict:
    checks = [
        Check(severity=severity, **found)
        for severity, name in (("failure", "failures"), ("warning", "warnings"))
        for found in entry.get(name, ())
    ]
    return GateVerdict(
        checked_at=entry["checked_at"],
        passed=entry["passed"],
        checks=checks,
        figures=entry.get("figures", {}),
    )


def _tenants(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if path.stat().st_size <= MAX_BYTES:
            yield from json.loads(path.read_text(encoding="utf-8"))["tenants"]
    except (OSError, ValueError, KeyError, TypeError):  # written by hand, or gone meanwhile
        return
