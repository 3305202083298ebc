"""What each tenant costs: what it keeps in the lake, and its share of what runs took.

A run's models work for all tenants in one statement, so no clock shows a tenant's part. What the
models and tests of a run took is measured, and given to the tenants by what was written for them:

    seconds(tenant) = Σ over models: seconds(model) · bytes written for it / bytes written, + tests

with the tests' seconds in proportion to the models'. Models that wrote nothing, and tables without
tenants, are nobody's (`SHARED`): the sums are what was measured, by construction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.storage.build_reports import BuildReport
from lakehouse.storage.cost_reports import SHARED, STAGES, Costs, Kept
from lakehouse.storage.lake import Lake
from lakehouse.storage.row_counts import row_count, rows_by_tenant
from lakehouse.storage.tables import model_tables
from lakehouse.training.lake_state import BUILT

_TENANT: Final = "partition.tenant_id"


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
