"""Compiles the retention policy to S3 lifecycle rules, within what S3 takes and a table survives.

- A rule's prefix ends in a partition (`…/raw/interactions/tenant_id=`), so it can never match
  `_delta_log/`: a log in a slow storage class would make every look at the table slow and dear.
- A table's rules move files and never delete any: a file that the log names must be there. Rows
  expire through Delta (`lakehouse.retention.expiry`).
- Cold is Glacier Instant Retrieval, the cheapest class that is read in place.
- S3 takes no transition to Standard-IA before day 30, and wants 30 days in it: an earlier or
  shorter warm time is Intelligent-Tiering.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lakehouse.contracts.retention import DataClass, RetentionPolicy, Tiers
from lakehouse.errors import EtaError

INFREQUENT_ACCESS_DAYS: Final = 30
"""Least age for Standard-IA, and least stay in it (S3's own rule)."""
MOST_RULES: Final = 1_000
"""Of one bucket (S3's own limit)."""
PREFIX_CLASSES: Final = {"model_artifacts": DataClass.MODEL_ARTIFACTS, "logs": DataClass.LOGS}
"""Folders of the lake that others write, plain files: there a rule deletes, too."""


def owned_prefix(root: str) -> str:
    """Return what the ids of the rules of the lake below `root` begin with; others are foreign."""
    return f"eta:{root}:"


@dataclass(frozen=True, slots=True)
class Transition:
    """From an age in days on, a storage class by S3's name."""

    days: int
    storage_class: str


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """One rule: what it matches and what becomes of it. `delete_days` None: nothing is deleted."""

    rule_id: str
    prefix: str
    transitions: tuple[Transition, ...]
    delete_days: int | None = None

    def to_s3(self) -> dict[str, Any]:
        """Return the rule as S3's API takes it."""
        rule: dict[str, Any] = {
            "ID": self.rule_id,
            "Status": "Enabled",
            "Filter": {"Prefix": self.prefix},
            "Transitions": [
                {"Days": step.days, "StorageClass": step.storage_class} for step in self.transitions
            ],
        }
        if self.delete_days is not None:
            rule["Expiration"] = {"Days": self.delete_days}
        return rule


def transitions(tiers: Tiers) -> tuple[Transition, ...]:
    """Return the warm and the cold step."""
    is_long = tiers.warm_days - tiers.hot_days >= INFREQUENT_ACCESS_DAYS
    is_late = tiers.hot_days >= INFREQUENT_ACCESS_DAYS
    warm = "STANDARD_IA" if is_late and is_long else "INTELLIGENT_TIERING"
    return (Transition(tiers.hot_days, warm), Transition(tiers.warm_days, "GLACIER_IR"))


def compile_rules(
    root: str, tables: Mapping[str, DataClass], tenants: Mapping[str, RetentionPolicy]
) -> list[LifecycleRule]:
    """Return the rules of a lake whose prefix in its bucket is `root`, in order of their ids.

    `tables` are paths below the lake. A table has one rule, or one per tenant where the tenants'
    policies differ: of two rules that match, S3 takes the cheaper one, so a tenant's own cannot
    stand beside a general one. Raises `EtaError` for more rules than a bucket can have.
    """
    base = f"{root}/" if root else ""
    rules = [
        rule for path, kind in tables.items() for rule in _table_rules(root, path, kind, tenants)
    ]
    for folder, kind in PREFIX_CLASSES.items():
        tiers = RetentionPolicy().tiers(kind)
        rules.append(
            LifecycleRule(
                f"{owned_prefix(root)}{folder}",
                f"{base}{folder}/",
                transitions(tiers),
                tiers.delete_days,
            )
        )
    if len(rules) > MOST_RULES:
        raise EtaError(
            f"the policies come to {len(rules):,} lifecycle rules; a bucket takes {MOST_RULES:,}",
            remedy="give the tenants fewer policies that differ: one table needs one rule while "
            "all agree, and one per tenant when any differs",
        )
    return sorted(rules, key=lambda rule: rule.rule_id)


def _table_rules(
    root: str, path: str, kind: DataClass, tenants: Mapping[str, RetentionPolicy]
) -> Iterable[LifecycleRule]:
    rule_id = f"{owned_prefix(root)}{path}"
    folder = f"{root}/{path}" if root else path
    default = transitions(RetentionPolicy().tiers(kind))
    steps = {tenant: transitions(policy.tiers(kind)) for tenant, policy in tenants.items()}
    if all(found == default for found in steps.values()):
        yield LifecycleRule(rule_id, f"{folder}/tenant_id=", default)
        return
    for tenant_id, found in sorted(steps.items()):
        yield LifecycleRule(f"{rule_id}:{tenant_id}", f"{folder}/tenant_id={tenant_id}/", found)


def dangers(foreign: Sequence[Mapping[str, Any]], root: str, tables: Iterable[str]) -> list[str]:
    """Return what somebody else's rules would do to the lake's tables, in words.

    A rule that deletes a table's files, or moves its log to a slow class, breaks the table.
    """
    base = f"{root}/" if root else ""
    found = []
    for rule in foreign:
        if rule.get("Status") != "Enabled":
            continue
        prefix, name = _prefix_of(rule), repr(rule.get("ID", "?"))
        for path in sorted(tables):
            folder = f"{base}{path}/"
            is_inside = prefix.startswith(folder) or folder.startswith(prefix)
            if "Expiration" in rule and is_inside:
                found.append(f"rule {name} deletes files that {path} needs")
            elif "Transitions" in rule and f"{folder}_delta_log/".startswith(prefix):
                found.append(f"rule {name} moves the log of {path} to slow storage")
    return found


def _prefix_of(rule: Mapping[str, Any]) -> str:
    where = rule.get("Filter") or {}
    return str(where.get("Prefix") or where.get("And", {}).get("Prefix") or rule.get("Prefix", ""))
