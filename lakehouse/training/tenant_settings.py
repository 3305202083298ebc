"""Hands the tenants' settings to the models: control database → `ops.tenant_settings`."""

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
from deltalake import write_deltalake

from lakehouse.contracts.event_types import Meaning, by_strength, named
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
    sampling = settings.negative_sampling
    shares = None if sampling.shares is None or sampling.shares.is_uniform else sampling.shares
    return {
        "tenant_id": tenant_id,
        **_meanings(settings),
        "seed": settings.seed,
        "negatives_per_positive": shares.total if shares else settings.negatives_per_positive,
        "half_life_days": settings.half_life_days,
        "popularity_share": shares.popularity if shares else None,
        "category_share": shares.category if shares else None,
        "popularity_alpha": sampling.popularity_alpha if shares and shares.popularity else None,
    }


def _meanings(settings: TenantSettings) -> dict[str, object]:
    """What the types of a tenant mean: declared types say so, else there are two lists of names."""
    types = settings.event_types
    if types is None:
        return {
            "positive_types": _names(settings.positive_types),
            "negative_types": _names(settings.negative_types),
            "event_types": None,
        }
    return {
        "positive_types": named(types, Meaning.POSITIVE),
        "negative_types": named(types, Meaning.NEGATIVE),
        "event_types": [
            {
                "name": name,
                "weight": one.weight,
                "value_scale": None if one.value is None else one.value.scale,
                "undoes": one.undoes,
            }
            for name, one in by_strength(types)
        ],
    }


def _names(types: frozenset[str] | None) -> list[str] | None:
    return None if types is None else sorted(str(name) for name in types)
