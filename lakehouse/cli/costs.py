"""What `eta tenants costs` prints."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.errors import EtaError
from lakehouse.storage.cost_reports import STAGES, read_costs
from lakehouse.storage.lake import Lake
from lakehouse.training.costs import kept_by_tenant

_COLUMNS: Final = (
    *("tenant", "rows", "raw bytes", "other bytes"),
    *("written bytes", "seconds", "processor seconds"),
)


def print_costs(tenant_id: str | None, days: int, *, as_json: bool) -> None:
    """Print a line per tenant and their sum, or everything by stage as JSON."""
    settings = lake_settings()
    lake = Lake(settings)
    wanted = None if tenant_id is None else check_tenant_id(tenant_id)
    kept = kept_by_tenant(lake)
    summed = read_costs(lake.home, datetime.now(UTC) - timedelta(days=days))
    if wanted is not None and wanted not in {*kept, *summed.costs}:
        raise EtaError(
            f"nothing is kept of {wanted}, and no run of the last {days} days wrote for it",
            remedy="see `eta tenants list`",
        )
    names = sorted({*kept, *summed.costs}) if wanted is None else [wanted]
    found = {name: _stages(name, kept, summed.costs) for name in names}
    note(f"Runs of the last {days} days: {summed.runs:,}")
    if summed.unreadable:
        note(f"NOT in these figures: {summed.unreadable:,} reports of runs that cannot be read")
    if as_json:
        typer.echo(json.dumps({name or "(shared)": by for name, by in found.items()}, indent=2))
        return
    rows = [(name or "(shared)", *_line(by)) for name, by in found.items()]
    if wanted is None:
        every = [{f"{name}/{stage}": one for name in found for stage, one in found[name].items()}]
        rows.append(("all", *_line(every[0])))
    print_rows(_COLUMNS, rows)


def _stages(name: str, kept: Any, costs: Any) -> dict[str, dict[str, float]]:
    """Return stage → figures of a tenant."""
    found: dict[str, dict[str, float]] = {}
    for stage, one in kept.get(name, {}).items():
        found[stage] = {"kept_bytes": one.bytes, "rows": one.rows}
    for stage, values in costs.get(name, {}).items():
        named = {("written_bytes" if key == "bytes" else key): v for key, v in values.items()}
        found.setdefault(stage, {}).update(named)
    order = {stage: n for n, stage in enumerate((*STAGES, "views", "tests"))}
    return dict(sorted(found.items(), key=lambda entry: order.get(entry[0], len(order))))


def _line(stages: dict[str, dict[str, float]]) -> tuple[str, ...]:
    def total(key: str, values: Iterable[dict[str, float]]) -> float:
        return sum(one.get(key, 0) for one in values)

    raw = [one for stage, one in stages.items() if stage.rpartition("/")[2] == "raw"]
    kept = total("kept_bytes", stages.values())
    is_seen = any("processor_seconds" in one for one in stages.values())
    return (
        f"{total('rows', stages.values()):,.0f}",
        f"{total('kept_bytes', raw):,.0f}",
        f"{kept - total('kept_bytes', raw):,.0f}",
        f"{total('written_bytes', stages.values()):,.0f}",
        f"{total('seconds', stages.values()):,.1f}",
        f"{total('processor_seconds', stages.values()):,.1f}" if is_seen else "-",
    )
