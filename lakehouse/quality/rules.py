"""The rules a tenant is measured by: from the control database, and from what the models read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lakehouse.contracts.kinds import InteractionType
from lakehouse.contracts.tables import OPS_TENANT_SETTINGS, RAW_CLICKSTREAM
from lakehouse.contracts.tenant import TenantSettings, check_tenant_id
from lakehouse.control.opening import existing_database
from lakehouse.quality.figures import TenantRules
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import query

_CONTRACT: Final = frozenset(kind.value for kind in InteractionType)


def tenant_rules(settings: LakeSettings) -> tuple[set[str], dict[str, TenantRules]]:
    """Return the ids of the tenants that were added, and the rules of those that have any.

    The time range and the thresholds are those of the newest settings. The label types and k are
    those that the models were last told (`ops.tenant_settings`): a set is not wrong because its
    tenant changed its mind after the build. Known types are those of all settings, since rows stay.
    """
    added, declared = _added(settings)
    lake = Lake(settings)
    told = _told_to_the_models(lake)
    arrived = _newest_events(lake, [name for name, last in told.items() if last.maps_clickstream])
    rules = {}
    for tenant_id in added.keys() | told.keys():
        own = added.get(tenant_id, TenantSettings())
        last = told.get(tenant_id, _Told())
        known = declared.get(tenant_id, frozenset()) | last.declared
        rules[tenant_id] = TenantRules(
            own.time_range,
            last.positive_types,
            last.negatives,
            own.quality,
            tuple(sorted(known | _CONTRACT)) if known else None,
            arrived.get(tenant_id),
        )
    return set(added), rules


def known_types(rules: Mapping[str, TenantRules]) -> frozenset[str]:
    """Return the contract's interaction types and those that a tenant has ever declared."""
    return _CONTRACT.union(*(rule.known_types or () for rule in rules.values()))


@dataclass(frozen=True, slots=True)
class _Told:
    """What the models were told of a tenant; `declared`: its own types, at any time.

    `maps_clickstream`: they read its clickstream.
    """

    positive_types: tuple[str, ...] | None = None
    negatives: int | None = None
    declared: frozenset[str] = frozenset()
    maps_clickstream: bool = False


def _added(
    settings: LakeSettings,
) -> tuple[dict[str, TenantSettings], Mapping[str, frozenset[str]]]:
    with existing_database(settings) as database:
        if database is None:
            return {}, {}
        return database.tenants.all_settings(), database.tenants.declared_types()


def _told_to_the_models(lake: Lake) -> dict[str, _Told]:
    found: dict[str, _Told] = {}
    table = lake.table(OPS_TENANT_SETTINGS).to_pyarrow_table()
    for row in table.sort_by("version").to_pylist():  # the newest comes last
        types = row["positive_types"]
        before = found.get(row["tenant_id"], _Told())
        found[row["tenant_id"]] = _Told(
            None if types is None else tuple(types),
            row["negatives_per_positive"],
            before.declared | {one["name"] for one in row.get("event_types") or ()},
            row.get("clickstream") is not None,
        )
    return found


def _newest_events(lake: Lake, tenants: list[str]) -> dict[str, datetime]:
    """Tenant → when the newest event of its clickstream arrived; without events none."""
    if not tenants:
        return {}
    names = ", ".join(f"'{check_tenant_id(tenant_id)}'" for tenant_id in tenants)
    found = query(
        lake.table(RAW_CLICKSTREAM),
        "tenant_id, max(known_at) as known_at",
        None,
        f"tenant_id in ({names}) group by tenant_id",
    )
    return {
        tenant_id: newest if newest.tzinfo else newest.replace(tzinfo=UTC)
        for tenant_id, newest in found.iter_rows()
        if newest is not None
    }
