"""From built tables to published training sets: check, publish. No console in here.

The gate comes in from outside, as the quality checks are another part of the library. It is asked
about the tenants whose training set changed, once for all of them, and never when none did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.candidates import candidates, is_newest
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import current_snapshot, is_same_set, publish_candidate

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings


class Verdict(Protocol):
    """What a gate says of one tenant; `report` holds JSON values and no personal data."""

    @property
    def passed(self) -> bool:
        """Whether the tenant's data may be published."""
        ...

    @property
    def report(self) -> dict[str, Any]:
        """Details; `failures` lists what failed, each with a `sentence`."""
        ...


Gate = Callable[["LakeSettings", Sequence[str]], Mapping[str, Verdict]]
"""Checks the newest tables for the named tenants; returns a verdict for each."""

_REFERENCE: Final = ("passed", "checked_at", "report_file")
_MAX_REASONS: Final = 3


@dataclass(frozen=True, slots=True)
class Published:
    """What became of each tenant that has a training set."""

    new: tuple[Manifest, ...] = ()
    unchanged: tuple[Manifest, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Tenant → why its training set was not published; its earlier snapshot stays current."""

    @property
    def is_success(self) -> bool:
        """Whether no tenant was refused."""
        return not self.refused


def publish_changed(
    settings: LakeSettings,
    gate: Gate | None,
    clock: Callable[[], datetime],
    *,
    tenant_id: str | None = None,
    failing: Mapping[str, str] = MappingProxyType({}),
    on_step: Callable[[str], None] = lambda _: None,
) -> Published:
    """Publish the tenants whose training set is not their current snapshot and passes the gate.

    Only `tenant_id` if it is given. A tenant that does not pass keeps its current snapshot; the
    others are published. `failing` says of tenants what is wrong with their rows. The gate knows
    of those that it is asked about; of the others it is told here: their snapshot did not change,
    and is not confirmed. Safe to repeat: unchanged content makes no new snapshot. Raises
    `EtaError` when the tables do not agree or another run changed them in between.
    """
    lake = Lake(settings)
    changed, same, unreadable = compare_with_current(settings, clock(), tenant_id)
    refused = unreadable | {name: why for name, why in failing.items() if name not in changed}
    unchanged = tuple(manifest for manifest in same if manifest.tenant_id not in refused)
    if not changed:
        return Published(unchanged=unchanged, refused=refused)
    on_step(f"Checking {len(changed):,} tenants" if len(changed) > 1 else "Checking the tenant")
    verdicts = {} if gate is None else gate(settings, list(changed))
    if not is_newest(lake, next(iter(changed.values()))):
        raise EtaError(
            "another run changed the training data while it was checked; nothing was published",
            remedy="run `eta prepare` when no other run is going on",
        )
    new = []
    for name, candidate in changed.items():
        if gate is None:
            new.append(publish_candidate(lake, candidate, gate=None))
        elif name in verdicts and verdicts[name].passed:
            reference = _reference(verdicts[name])
            new.append(publish_candidate(lake, candidate, gate=reference))
        else:
            refused[name] = _reason(verdicts.get(name))
    return Published(tuple(new), unchanged, refused)


class Comparison(NamedTuple):
    """Each tenant's built set beside its current snapshot."""

    changed: dict[str, Manifest]
    """The candidates that differ from it, by tenant."""
    unchanged: list[Manifest]
    """The current snapshots that stay."""
    unreadable: dict[str, str]
    """Tenant → why its current snapshot cannot be read: a file of it is damaged."""


def compare_with_current(
    settings: LakeSettings, now: datetime, tenant_id: str | None = None
) -> Comparison:
    """Compare what is built with what is published, of all tenants or of one.

    Costs the same for one tenant and for all. Raises `EtaError` when the tables do not agree.
    """
    lake = Lake(settings)
    found = candidates(settings, now, None if tenant_id is None else [tenant_id])
    compared = Comparison({}, [], {})
    entries: dict[str, bool] = {}
    for name, candidate in sorted(found.items()):
        try:
            held = current_snapshot(lake, name)
        except EtaError as error:
            compared.unreadable[name] = f"{error.message}; {error.remedy}"
            continue
        if held is not None and is_same_set(lake, held, candidate, entries):
            compared.unchanged.append(held)
        else:
            compared.changed[name] = candidate
    return compared


def _reference(verdict: Verdict) -> dict[str, Any]:
    report = {"passed": verdict.passed, **verdict.report}
    return {name: report[name] for name in _REFERENCE if name in report}


def _reason(verdict: Verdict | None) -> str:
    if verdict is None:
        return "the gate gave no verdict"
    failures = [failure["sentence"] for failure in verdict.report.get("failures", ())]
    told = "; ".join(failures[:_MAX_REASONS]) or "the gate gave no reason"
    more = len(failures) - _MAX_REASONS
    return f"{told}; and {more} more" if more > 0 else told
