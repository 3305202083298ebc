"""What the policies of docs/storage-tiers.md ask for: rows and snapshots expire, files move."""

from dataclasses import dataclass
from datetime import UTC, datetime

from lakehouse.contracts.retention import RetentionPolicy
from lakehouse.control.opening import existing_database
from lakehouse.retention.expiry import Expired, drop_expired_files, expire_rows
from lakehouse.retention.folders import classified_tables
from lakehouse.retention.lifecycle import (
    LifecyclePlan,
    apply_lifecycle,
    is_versioned,
    plan_lifecycle,
)
from lakehouse.retention.rules import compile_rules, dangers
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.s3 import bucket_prefix, s3_client
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.snapshot_expiry import ExpiredSnapshot, expire_snapshots


@dataclass(frozen=True, slots=True)
class Expiry:
    """What expired, or is due to; `files` left storage, whose rows expired a day before."""

    rows: list[Expired]
    snapshots: list[ExpiredSnapshot]
    files: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is old enough."""
        return not self.rows and not self.snapshots


def expire(
    settings: LakeSettings, tenant_id: str | None = None, *, dry_run: bool = False
) -> Expiry:
    """Delete what is older than its tenant's policy allows, or only count it. Beside writers."""
    lake = Lake(settings)
    ensure_tables(lake)
    policies, now = _policies(settings), datetime.now(UTC)
    rows = expire_rows(lake, policies, now, tenant_id=tenant_id, dry_run=dry_run)
    snapshots = expire_snapshots(lake, policies, now, tenant_id=tenant_id, dry_run=dry_run)
    files = 0 if dry_run else drop_expired_files(lake, datetime.now(UTC))
    return Expiry(rows, snapshots, files)


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """How the bucket's rules would change, and what endangers the lake's tables in it."""

    bucket: str
    plan: LifecyclePlan
    warnings: list[str]


def plan_rules(settings: LakeSettings) -> Lifecycle:
    """Compare the bucket's lifecycle rules with those that the policies ask for."""
    place = bucket_prefix(Lake(settings))
    tables = classified_tables(settings)
    rules = compile_rules(place.prefix, tables, _policies(settings))
    plan = plan_lifecycle(s3_client(Lake(settings)), place.bucket, rules, place.prefix)
    return Lifecycle(place.bucket, plan, dangers(plan.foreign, place.prefix, tables))


def apply_rules(settings: LakeSettings, found: Lifecycle) -> list[str]:
    """Set the rules of a plan and read them back, if it has any; return all warnings."""
    client = s3_client(Lake(settings))
    warnings = found.warnings
    if is_versioned(client, found.bucket):
        warnings = [*warnings, "the bucket keeps old versions: what is deleted stays in it"]
    if not found.plan.is_empty:
        apply_lifecycle(client, found.bucket, found.plan)
    return warnings


def _policies(settings: LakeSettings) -> dict[str, RetentionPolicy]:
    """The policies of the tenants that the control database knows."""
    with existing_database(settings) as database:
        if database is None:
            return {}
        found = database.tenants.all_settings()
        return {tenant_id: settings.retention for tenant_id, settings in found.items()}
