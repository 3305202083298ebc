"""What each tenant costs: what it keeps in the lake, and its share of what runs took.

A run's models work for all tenants in one statement, so no clock shows a tenant's part. What the
models and tests of a run took is measured, and given to the tenants by what was written for them:

    seconds(tenant) = Σ over models: seconds(model) · bytes written for it / bytes written, + tests

with the tests' seconds in proportion to the models'. Models that wrote nothing, and tables without
tenants, are nobody's (`SHARED`): the sums are what was measured, by construction.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.storage.build_reports import BuildReport
from lakehouse.storage.lake import Lake
from lakehouse.storage.report_files import stamp, write_report_file
from lakehouse.storage.row_counts import row_count, rows_by_tenant
from lakehouse.storage.tables import model_tables
from lakehouse.training.lake_state import BUILT

SHARED: Final = ""
"""What no tenant alone has caused."""

STAGES: Final = ("raw", "ops", "staging", "features", "training", "evaluation")
"""Schemas of the lake whose tables tenants fill."""

Costs = dict[str, dict[str, dict[str, float]]]
"""Tenant → stage → `bytes` written, `seconds` and perhaps `processor_seconds`."""

_KEPT: Final = timedelta(days=400)
_TENANT: Final = "partition.tenant_id"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a tenant has in the tables of a stage now: bytes of their current files, and rows."""

    bytes: int
    rows: int


def kept_by_tenant(lake: Lake) -> dict[str, dict[str, Kept]]:
    """Return tenant → stage → what it keeps; reads logs alone, and old versions do not count."""
    sizes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, table in lake.tables(STAGES):
        stage, _, _ = name.partition(".")
        files = _bytes_by_tenant(table)
        for tenant_id, size in files.items():
            sizes[tenant_id][stage] += size
        for tenant_id, count in _rows(table, files).items():
            rows[tenant_id][stage] += count
    return {
        tenant_id: {stage: Kept(by[stage], rows[tenant_id][stage]) for stage in sorted(by)}
        for tenant_id, by in sorted(sizes.items())
    }


def run_costs(lake: Lake, since: Mapping[str, int], reports: Iterable[BuildReport]) -> Costs:
    """Return what a run cost, tenant → stage → `bytes`, `seconds`, `processor_seconds`.

    `since` are the tables' versions when it began, `reports` those of its dbt commands. The last is
    left out where Spark ran on a server, whose processor dbt does not see. Seconds are by the
    clock of each model: of models that ran side by side the sum is more than the run took.
    """
    nodes: defaultdict[str, float] = defaultdict(float)
    reports = list(reports)
    is_seen = bool(reports) and all(one.processor_seconds is not None for one in reports)
    tests = processor = 0.0
    for report in reports:
        processor += report.processor_seconds or 0.0
        for node in report.nodes:
            if node.kind == "model":
                nodes[node.name] += node.seconds
            else:
                tests += node.seconds
    written = {
        name: _written(lake, name, table, since.get(name, -1))
        for name, table in model_tables(lake, BUILT)
    }
    costs: Costs = defaultdict(lambda: defaultdict(lambda: {"bytes": 0, "seconds": 0.0}))
    for name, files in written.items():
        stage, _, model = name.partition(".")
        seconds, total = nodes.pop(model, 0.0), sum(files.values())
        for tenant_id, size in files.items():
            costs[tenant_id][stage]["bytes"] += size
            costs[tenant_id][stage]["seconds"] += seconds * size / total
        if not total:
            costs[SHARED][stage]["seconds"] += seconds
    if nodes:  # views, and models made on request
        costs[SHARED]["views"]["seconds"] += sum(nodes.values())
    _spread(costs, tests, processor if is_seen else None)
    return {tenant_id: dict(by) for tenant_id, by in sorted(costs.items())}


def write_costs(home: Path, started_at: datetime, costs: Costs) -> Path:
    """Write a run's costs, `{home}/reports/costs/`, in place of what an earlier end of it wrote.

    A file per run, not a note of it: whoever lists runs would read them all. Those of more than
    400 days ago are dropped.
    """
    folder = _folder(home)
    path = folder / f"{stamp(started_at)}.json"
    write_report_file(path, {"started_at": started_at.isoformat(), "tenants": costs})
    oldest = stamp(datetime.now(UTC) - _KEPT)
    for old in folder.glob("*.json"):
        if old.name < oldest:
            old.unlink(missing_ok=True)
    return path


@dataclass(frozen=True, slots=True)
class SummedCosts:
    """The costs of `runs` runs, and how many reports could not be read and are not in them."""

    costs: Costs
    runs: int
    unreadable: int


def read_costs(home: Path, since: datetime) -> SummedCosts:
    """Return the costs of the runs that began from `since` on, added up."""
    found: Costs = {}
    runs = unreadable = 0
    for path in sorted(_folder(home).glob("*.json")):
        if path.name < stamp(since):
            continue
        try:
            _add(found, json.loads(path.read_text(encoding="utf-8"))["tenants"])
            runs += 1
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            unreadable += 1
    return SummedCosts(found, runs, unreadable)


def _folder(home: Path) -> Path:
    return home / "reports" / "costs"


def _add(found: Costs, costs: Costs) -> None:
    for tenant_id, by_stage in costs.items():
        for stage, values in by_stage.items():
            held = found.setdefault(tenant_id, {}).setdefault(stage, {})
            for name, value in values.items():
                held[name] = held.get(name, 0) + value


def _spread(costs: Costs, tests: float, processor: float | None) -> None:
    """Give tests and processor seconds to all, in proportion to the seconds of models."""
    entries: list[dict[str, Any]] = [one for by in costs.values() for one in by.values()]
    models = sum(one["seconds"] for one in entries)
    if not models:
        costs[SHARED]["tests"] = {"bytes": 0, "seconds": tests}
        entries, models = [costs[SHARED]["tests"]], tests
    else:
        for one in entries:
            one["seconds"] *= 1 + tests / models
        models += tests
    if processor is not None:
        for one in entries:
            one["processor_seconds"] = processor * one["seconds"] / models if models else 0.0


def _written(lake: Lake, name: str, table: DeltaTable, version: int) -> Counter[str]:
    """Return tenant → bytes of the files that a table has and did not have at a version."""
    if version == table.version():
        return Counter()
    try:
        before = set() if version < 0 else _paths(lake.table(name, version))
    except DeltaError:  # made anew since, or its log was shortened
        before = set()
    return _bytes_by_tenant(table, without=before)


def _paths(table: DeltaTable) -> set[str]:
    return set(table.get_add_actions(flatten=True)["path"].to_pylist())


def _bytes_by_tenant(table: DeltaTable, without: Iterable[str] = ()) -> Counter[str]:
    actions, known = table.get_add_actions(flatten=True), set(without)
    names = actions.schema.names
    count = actions.num_rows
    tenants = actions[_TENANT].to_pylist() if _TENANT in names else [SHARED] * count
    found: Counter[str] = Counter()
    for path, tenant_id, size in zip(
        actions["path"].to_pylist(), tenants, actions["size_bytes"].to_pylist(), strict=True
    ):
        if path not in known:
            found[tenant_id] += size
    return found


def _rows(table: DeltaTable, files: Mapping[str, int]) -> Counter[str]:
    if set(files) == {SHARED}:
        return Counter({SHARED: row_count(table)})
    return rows_by_tenant(table) if files else Counter()
