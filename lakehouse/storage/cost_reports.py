"""What runs cost each tenant, `{home}/reports/costs/`, and what each keeps, `reports/kept.json`.

A JSON file per run, not a note of it: whoever lists runs would read them all. A run's file names
those tenants that it wrote for; what all of them keep is one file, which the next run replaces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from lakehouse.errors import EtaError
from lakehouse.storage.report_files import stamp, write_report_file

SHARED: Final = ""
"""What no tenant alone has caused."""

STAGES: Final = ("raw", "ops", "staging", "features", "training", "evaluation")
"""Schemas of the lake whose tables tenants fill."""

DAYS: Final = 30
"""How far back costs are added up unless told."""

Costs = dict[str, dict[str, dict[str, float]]]
"""Tenant → stage → `bytes` written, `seconds` and perhaps `processor_seconds`."""

_KEPT: Final = timedelta(days=400)
_DAMAGED: Final = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a tenant has in the tables of a stage now: bytes of their current files, and rows."""

    bytes: int
    rows: int


AllKept = Mapping[str, Mapping[str, Kept]]
"""Tenant → stage → what it keeps."""


def write_costs(home: Path, started_at: datetime, costs: Costs) -> Path:
    """Write a run's costs in place of what an earlier end of it wrote.

    Reports of more than 400 days ago are dropped.
    """
    folder = _folder(home)
    path = folder / f"{stamp(started_at)}.json"
    write_report_file(path, {"started_at": started_at.isoformat(), "tenants": costs})
    oldest = stamp(datetime.now(UTC) - _KEPT)
    for old in folder.glob("*.json"):
        if old.name < oldest:
            old.unlink(missing_ok=True)
    return path


def write_kept(home: Path, kept: AllKept) -> Path:
    """Write what all tenants keep now."""
    sizes = {name: {stage: asdict(one) for stage, one in by.items()} for name, by in kept.items()}
    path = _kept_file(home)
    write_report_file(path, {"written_at": datetime.now(UTC).isoformat(), "tenants": sizes})
    return path


def read_kept(home: Path) -> AllKept:
    """Return what tenants kept when the last run ended; nothing if no run has said it.

    Raises `EtaError` if the file is damaged.
    """
    path = _kept_file(home)
    try:
        tenants = json.loads(path.read_text(encoding="utf-8"))["tenants"]
        return {
            tenant_id: {stage: Kept(one["bytes"], one["rows"]) for stage, one in by_stage.items()}
            for tenant_id, by_stage in tenants.items()
        }
    except FileNotFoundError:
        return {}
    except _DAMAGED as error:
        raise EtaError(
            f"{path} is damaged ({type(error).__name__})",
            remedy="delete it: the next run of the models writes it anew",
        ) from error


@dataclass(frozen=True, slots=True)
class SummedCosts:
    """The costs of `runs` runs, and how many reports could not be read and are not in them."""

    costs: Costs
    runs: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class _Report:
    changed_at: int
    costs: Costs


@dataclass(slots=True)
class CostReports:
    """Adds up the reports of a home; one that was read is not read again unless it changed."""

    home: Path
    _read: dict[str, _Report | None] = field(default_factory=dict)

    def sum(self, since: datetime) -> SummedCosts:
        """Return the costs of the runs that began from `since` on, added up."""
        oldest = stamp(since)
        paths = sorted(path for path in _folder(self.home).glob("*.json") if path.name >= oldest)
        self._read = {path.name: self._look(path) for path in paths}
        reports = [report for report in self._read.values() if report is not None]
        found: Costs = {}
        for report in reports:
            _add(found, report.costs)
        return SummedCosts(found, len(reports), len(paths) - len(reports))

    def _look(self, path: Path) -> _Report | None:
        """Return what a report says, None if it cannot be read."""
        held = self._read.get(path.name)
        try:
            changed_at = path.stat().st_mtime_ns
            if held is not None and held.changed_at == changed_at:
                return held
            tenants = json.loads(path.read_text(encoding="utf-8"))["tenants"]
            costs = {
                tenant_id: {
                    stage: {name: float(value) for name, value in values.items()}
                    for stage, values in by_stage.items()
                }
                for tenant_id, by_stage in tenants.items()
            }
            return _Report(changed_at, costs)
        except _DAMAGED:
            return None


def read_costs(home: Path, since: datetime) -> SummedCosts:
    """Return the costs of the runs that began from `since` on, added up."""
    return CostReports(home).sum(since)


def _folder(home: Path) -> Path:
    return home / "reports" / "costs"


def _kept_file(home: Path) -> Path:
    return home / "reports" / "kept.json"


def _add(found: Costs, costs: Costs) -> None:
    for tenant_id, by_stage in costs.items():
        for stage, values in by_stage.items():
            held = found.setdefault(tenant_id, {}).setdefault(stage, {})
            for name, value in values.items():
                held[name] = held.get(name, 0) + value
