"""The rules a tenant is measured by: from the control database, and from what the models read."""

from lakehouse.contracts.tables import OPS_TENANT_SETTINGS
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.opening import existing_database
from lakehouse.quality.figures import TenantRules
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake


def tenant_rules(settings: LakeSettings) -> tuple[set[str], dict[str, TenantRules]]:
    """Return the ids of the tenants that were added, and the rules of those that have any.

    The time range and the thresholds are those of the newest settings. The label types and k are
    those that the models were last told (`ops.tenant_settings`): a set is not wrong because its
    tenant changed its mind after the build.
    """
    added = _added(settings)
    told = _told_to_the_models(Lake(settings))
    rules = {}
    for tenant_id in added.keys() | told.keys():
        own = added.get(tenant_id, TenantSettings())
        types, negatives = told.get(tenant_id, (None, None))
        rules[tenant_id] = TenantRules(own.time_range, types, negatives, own.quality)
    return set(added), rules


def _added(settings: LakeSettings) -> dict[str, TenantSettings]:
    with existing_database(settings) as database:
        if database is None:
            return {}
        return {
            tenant.tenant_id: database.tenant_settings(tenant.tenant_id)
            for tenant in database.tenants.list()
        }


def _told_to_the_models(
    lake: Lake,
) -> dict[str, tuple[tuple[str, ...] | None, int | None]]:
    found = {}
    table = lake.table(OPS_TENANT_SETTINGS).to_pyarrow_table()
    for row in table.sort_by("version").to_pylist():  # the newest comes last
        types = row["positive_types"]
        found[row["tenant_id"]] = (
            None if types is None else tuple(types),
            row["negatives_per_positive"],
        )
    return found
