"""Puts the lifecycle rules into the bucket, beside rules of others, and reads them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from lakehouse.errors import EtaError
from lakehouse.retention.rules import LifecycleRule, owned_prefix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import LifecycleRuleUnionTypeDef

Change = Literal["add", "change", "remove", "keep"]
_NONE_YET: Final = "NoSuchLifecycleConfiguration"


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What becomes of one rule of ours, with the rule before and after as S3 has it."""

    change: Change
    rule_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class LifecyclePlan:
    """The difference between a bucket and the policy; rules of others stay as they are."""

    changes: tuple[RuleChange, ...]
    foreign: tuple[Mapping[str, Any], ...]

    @property
    def is_empty(self) -> bool:
        """Whether the bucket already has what the policy says."""
        return all(change.change == "keep" for change in self.changes)


def plan_lifecycle(
    client: S3Client, bucket: str, rules: Sequence[LifecycleRule], root: str
) -> LifecyclePlan:
    """Compare a bucket's rules with `rules`, those of the lake below `root`."""
    present = [_comparable(rule) for rule in _read(client, bucket)]
    mine = owned_prefix(root)
    before = {rule["ID"]: rule for rule in present if str(rule.get("ID", "")).startswith(mine)}
    after = {rule.rule_id: _comparable(rule.to_s3()) for rule in rules}
    changes = [
        RuleChange(
            _kind(before.get(name), after.get(name)), name, before.get(name), after.get(name)
        )
        for name in sorted({*before, *after})
    ]
    foreign = [rule for rule in present if rule.get("ID") not in before]
    return LifecyclePlan(tuple(changes), tuple(foreign))


def apply_lifecycle(client: S3Client, bucket: str, plan: LifecyclePlan) -> None:
    """Make the bucket's rules those of the plan and read them back.

    S3 takes a configuration whole or not at all. Raises `EtaError` when it refuses it or answers
    with other rules than those sent.
    """
    from botocore.exceptions import ClientError

    ours = [dict(change.after) for change in plan.changes if change.after is not None]
    wanted = [*ours, *(dict(rule) for rule in plan.foreign)]
    try:
        client.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={"Rules": cast("list[LifecycleRuleUnionTypeDef]", wanted)},
        )
    except ClientError as error:
        raise EtaError(
            f"S3 refused the lifecycle rules: {error.response['Error'].get('Message', '')}",
            remedy="the bucket's rules are as they were; compare with `eta retention plan`",
        ) from error
    found = [_comparable(rule) for rule in _read(client, bucket)]
    if sorted(found, key=str) != sorted(map(_comparable, wanted), key=str):
        raise EtaError(
            "the bucket answers with other lifecycle rules than it was sent",
            remedy="see `eta retention plan`: somebody may have changed them at the same moment",
        )


def is_versioned(client: S3Client, bucket: str) -> bool:
    """Whether the bucket keeps what is deleted: then neither expiry nor erasure is complete."""
    return client.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"


def _read(client: S3Client, bucket: str) -> list[dict[str, Any]]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = client.get_bucket_lifecycle_configuration(Bucket=bucket)
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"].get("Code") if isinstance(error, ClientError) else None
        if code == _NONE_YET:
            return []
        raise EtaError(
            f"cannot read the lifecycle rules of bucket {bucket} ({code or type(error).__name__})",
            remedy="check the bucket's name, ETA_STORAGE_OPTIONS, and the right "
            "s3:GetLifecycleConfiguration",
        ) from error
    return cast("list[dict[str, Any]]", found["Rules"])


def _comparable(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The rule with transitions in order of their days: S3 does not promise the order."""
    copy = dict(rule)
    if "Transitions" in copy:
        copy["Transitions"] = sorted(copy["Transitions"], key=lambda step: step.get("Days", 0))
    return copy


def _kind(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Change:
    if before is None:
        return "add"
    if after is None:
        return "remove"
    return "keep" if before == after else "change"
