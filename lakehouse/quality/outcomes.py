"""What the gate says of a tenant. No field ever holds a user, an item or an event."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Figure = int | float | str | None
"""A number about a tenant, or a date or text about a table; it goes into JSON as it is."""


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """A check that a tenant did not meet.

    `check` is the check's stable name in `soda_checks/`; `measured` is what was found, `threshold`
    the number it was compared with (None: there is none) and `expected` says in words what the
    check allows; `sentence` says it to a person; `see` is a command that shows more. `samples` are
    some of the rows behind a failure, identifiers masked.
    """

    check: str
    layer: str
    table: str
    measured: Figure
    expected: str
    sentence: str
    see: str
    threshold: Figure = None
    samples: tuple[Mapping[str, Figure], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdict on one tenant: it passed when nothing failed; warnings do not count.

    `report` is the same as JSON values, with every figure that was measured.
    """

    tenant_id: str
    passed: bool
    failures: tuple[CheckOutcome, ...]
    warnings: tuple[CheckOutcome, ...]
    report: dict[str, Any]


def verdict(
    tenant_id: str,
    failures: tuple[CheckOutcome, ...],
    warnings: tuple[CheckOutcome, ...],
    figures: Mapping[str, Mapping[str, Figure]],
    **about_the_run: Any,
) -> GateResult:
    """Put a tenant's outcomes together; `figures` holds a mapping for each layer measured."""
    report = {
        **about_the_run,
        "tenant_id": tenant_id,
        "passed": not failures,
        "failures": [_json(outcome) for outcome in failures],
        "warnings": [_json(outcome) for outcome in warnings],
        "figures": {layer: dict(row) for layer, row in figures.items()},
    }
    return GateResult(tenant_id, not failures, failures, warnings, report)


def _json(outcome: CheckOutcome) -> dict[str, Any]:
    return {**asdict(outcome), "samples": [dict(row) for row in outcome.samples]}
