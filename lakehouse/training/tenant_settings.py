"""Hands the tenants' settings to the models: control database → `ops.tenant_settings`."""

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
from deltalake import write_deltalake

from lakehouse.contracts.tables import OPS_TENANT_SETTINGS, TENANT_SETTINGS
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.storage.lake import Lake


def publish_tenant_settings(
    lake: Lake, tenants: Mapping[str, TenantSettings], now: datetime
) -> int:
    """Append a version for each tenant whose training settings changed; return how many did.

    The newest version counts; older ones stay, so that a run knows which tenants changed. The table
    must exist. Two processes at once may both append a version with the same content: harmless.
    """
    table = lake.table(OPS_TENANT_SETTINGS)
    held = _newest_versions(table.to_pyarrow_table())
    changed = []
    for tenant_id, settings in sorted(tenants.items()):
        row = _row(tenant_id, settings)
        version, previous = held.get(tenant_id, (0, None))
        if row != previous:
            changed.append({**row, "version": version + 1, "known_at": now})
    if changed:
        write_deltalake(table, pa.Table.from_pylist(changed, TENANT_SETTINGS), mode="append")
    return len(changed)


def _newest_versions(table: pa.Table) -> dict[str, tuple[int, dict[str, object]]]:
    newest = {}
    for row in table.sort_by("version").to_pylist():
        version = row.pop("version")
        del row["known_at"]
        newest[row["tenant_id"]] = (version, row)
    return newest


def _row(tenant_id: str, settings: TenantSettings) -> dict[str, object]:
    """Return what the models read; shares only if some negatives are not drawn uniformly."""

    def names(types: frozenset[str] | None) -> list[str] | None:
        return None if types is None else sorted(str(name) for name in types)

    shares = settings.negative_sampling.shares
    weighted = None if shares is None or shares.is_uniform else shares
    alpha = settings.negative_sampling.popularity_alpha
    return {
        "tenant_id": tenant_id,
        "positive_types": names(settings.positive_types),
        "negative_types": names(settings.negative_types),
        "seed": settings.seed,
        "negatives_per_positive": weighted.total if weighted else settings.negatives_per_positive,
        "popularity_share": weighted.popularity if weighted else None,
        "category_share": weighted.category if weighted else None,
        "popularity_alpha": alpha if weighted and weighted.popularity else None,
    }
