"""What dbt made of each model and test, a JSON file per dbt command: `{home}/reports/dbt/`.

dbt keeps the results of its last command alone. A file per command needs no lock: a scheduler's run
has one for each of its tasks, and who reads puts those of a run together by its id. No file holds a
message of dbt's: it may quote data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from lakehouse.storage.report_files import newest_report_files, stamp, write_report_file

KEPT: Final = timedelta(days=90)
"""How long a report stays."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """How a model or test ended: dbt's own status, seconds, and a test's failing rows.

    `mode` is what was done with a model's table, such as `CHANGED` or `REBUILT`, and `rows` how
    many of its rows were written or removed; None where the server did not say.
    """

    name: str
    kind: str
    status: str
    seconds: float
    failures: int | None = None
    mode: str | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class BuildReport:
    """One dbt command. `tenant_id` is set when it was narrowed to one; `run_id` if it has a run.

    `processor_seconds` are those of dbt and of the Spark that it started; None where Spark is a
    server, and in reports of an earlier release.
    """

    run_id: str | None
    tenant_id: str | None
    command: str
    started_at: datetime
    seconds: float
    is_success: bool
    nodes: Sequence[NodeResult]
    processor_seconds: float | None = None


def write_build_report(home: Path, report: BuildReport) -> Path:
    """Write the report, whole or not at all, and drop those that are older than `KEPT`."""
    folder = _folder(home)
    path = folder / f"{stamp(report.started_at)}-{os.getpid()}.json"
    document = {**asdict(report), "started_at": report.started_at.astimezone(UTC).isoformat()}
    write_report_file(path, document)
    oldest = stamp(datetime.now(UTC) - KEPT)
    for old in folder.glob("*.json"):
        if old.name < oldest:
            old.unlink(missing_ok=True)
    return path


def read_build_reports(home: Path, *, since: datetime, limit: int) -> list[BuildReport]:
    """Return the newest reports of commands begun from `since` on, newest first.

    A file that is no report is left out.
    """
    return list(_reports(newest_report_files(_folder(home), since=since, limit=limit)))


def _reports(paths: Iterable[Path]) -> Iterator[BuildReport]:
    for path in paths:
        try:
            yield _report(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):  # dropped meanwhile, or damaged
            continue


def _report(document: dict[str, Any]) -> BuildReport:
    nodes = [NodeResult(**node) for node in document.pop("nodes")]
    started_at = datetime.fromisoformat(document.pop("started_at"))
    return BuildReport(**document, started_at=started_at, nodes=nodes)


def _folder(home: Path) -> Path:
    return home / "reports" / "dbt"
