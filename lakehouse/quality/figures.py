"""Measures each layer once, for all tenants in question: one row of figures per tenant.

Open-source Soda cannot group a check by tenant. So one statement per layer makes the figures, a
temporary view of a few rows holds them, and the checks run on that: a tenant costs a row, not a
scan per check.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakehouse.contracts.kinds import InteractionType
from lakehouse.contracts.quality import QualitySettings
from lakehouse.contracts.tenant import TimeRange
from lakehouse.errors import EtaError
from lakehouse.quality.outcomes import Figure

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

LAYERS: Final = ("raw", "staging", "features", "training")
"""In this order: each layer's figures may use those of the layers before it."""

_END_OF_TIME: Final = "9999-12-31"
_PARAMETER: Final = re.compile(r"(?<![:\w]):([a-z_]+)\b")
_HARMLESS: Final = re.compile(r"[A-Za-z0-9_:.+ -]*")


_RULES: Final = (
    "tenant_id string, earliest timestamp, latest timestamp, positive_types array<string>, "
    "known_types array<string>, clickstream_known_at timestamp, "
    "negatives_per_positive int, least_rating double, most_rating double, future_after_hours int, "
    "period_days int, history_periods int, minimum_events int, minimum_users int, minimum_items int"
)


@dataclass(frozen=True, slots=True)
class TenantRules:
    """What counts for one tenant; None is the project's default.

    `known_types`: every type that the tenant's interactions may be of, those that it declared in
    earlier settings included. `clickstream_known_at`: when the newest event of its clickstream
    arrived; None where the models read none of it.
    """

    time_range: TimeRange | None = None
    positive_types: tuple[str, ...] | None = None
    negatives: int | None = None
    quality: QualitySettings = field(default_factory=QualitySettings)
    known_types: tuple[str, ...] | None = None
    clickstream_known_at: datetime | None = None

    def limits(self) -> dict[str, float | None]:
        """Return both bounds of each limit: `<figure>_warn` and `<figure>_fail`."""
        return {
            f"{name}_{level}": None if bound is None else float(bound)
            for name, limit in self.quality.limits().items()
            for level, bound in (("warn", limit.warn), ("fail", limit.fail))
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom to measure, when, and by which rules.

    `tenants` None means every tenant with rows. `rules` are those of the tenants that have any of
    their own. `build_parameters` are the variables that the training tables were built with.
    """

    tenants: tuple[str, ...] | None
    rules: Mapping[str, TenantRules]
    build_parameters: Mapping[str, Any]
    now: datetime


def build_parameters(session: "SparkSession") -> dict[str, Any]:
    """Return the dbt variables that the training set was built with; raises `EtaError`.

    The models leave them in the table's properties.
    """
    rows = session.sql("show tblproperties training.training_data").collect()
    text = {row.key: row.value for row in rows}.get("eta.parameters")
    if text is None:
        raise EtaError(
            "training.training_data does not say what it was built with",
            remedy="build it anew: `eta prepare --full-refresh`",
        )
    found: dict[str, Any] = json.loads(text)
    return found


def measure(
    session: "SparkSession", layers: Iterable[str], folder: Path, scope: Scope
) -> dict[str, dict[str, dict[str, Figure]]]:
    """Measure the layers; return layer → tenant → figures, and leave them as views `gate_<layer>`.

    `folder` holds `<layer>/figures.sql`. The views have the tenant's limits beside its figures.
    """
    _hand_over(session, scope.rules)
    parameters = _parameters(scope)
    measured = {}
    for layer in layers:
        statement = (folder / layer / "figures.sql").read_text(encoding="utf-8")
        figures = session.sql(bind(statement, parameters))
        rows = figures.collect()
        _leave_view(session, f"gate_{layer}", figures, rows, scope.rules)
        measured[layer] = {row.tenant_id: row.asDict() for row in rows}
    return measured


def _leave_view(
    session: "SparkSession",
    name: str,
    figures: "DataFrame",
    rows: "list[Row]",
    rules: Mapping[str, TenantRules],
) -> None:
    """Make a view of the rows: one on the statement would measure again for every check."""
    from pyspark.sql.types import DoubleType, StructType

    schema = StructType(list(figures.schema.fields))
    for limit in TenantRules().limits():
        schema.add(limit, DoubleType())
    limits = (rules.get(row.tenant_id, TenantRules()).limits().values() for row in rows)
    known = [(*row, *own) for row, own in zip(rows, limits, strict=True)]
    session.createDataFrame(known, schema).createOrReplaceTempView(name)


def drop_views(session: "SparkSession") -> None:
    """Remove the views that `measure` left."""
    for name in ("tenants", *LAYERS):
        session.catalog.dropTempView(f"gate_{name}")


def bind(statement: str, parameters: Mapping[str, Any]) -> str:
    """Put literals in place of a statement's `:names`.

    Spark's own parameters are out: 4.2 replaces them while it parses, in a method that Delta 4.4's
    parser does not pass on, and a Connect server has no other way. So a text may hold nothing
    that could end a literal; `EtaError` names the parameter that does.
    """

    def literal(match: re.Match[str]) -> str:
        return _literal(match[1], parameters[match[1]])

    return _PARAMETER.sub(literal, statement)


def _literal(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return f"{value!r}d"
    if isinstance(value, datetime):
        return f"timestamp '{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"
    if isinstance(value, list):
        return f"array({', '.join(_literal(name, part) for part in value)})"
    if isinstance(value, str) and _HARMLESS.fullmatch(value):
        return f"'{value}'"
    raise EtaError(
        f"the parameter {name} of the checks may not stand in a statement",
        remedy="look at `vars` in dbt_project.yml, and at the tenants' ids and settings",
    )


def _hand_over(session: "SparkSession", rules: Mapping[str, TenantRules]) -> None:
    """Make the rules of each tenant a view: nothing of a tenant's is ever part of a statement."""
    rows = [
        (
            tenant_id,
            *_timestamps(rule.time_range),
            None if rule.positive_types is None else list(rule.positive_types),
            None if rule.known_types is None else list(rule.known_types),
            rule.clickstream_known_at,
            rule.negatives,
            *_constants(rule.quality).values(),
        )
        for tenant_id, rule in sorted(rules.items())
    ]
    # the hint: Spark takes rows from Python to be too many to broadcast, and would sort the tables
    known = session.createDataFrame(rows, _RULES).hint("broadcast")
    known.createOrReplaceTempView("gate_tenants")


def _constants(quality: QualitySettings) -> dict[str, float | int]:
    """What the statements read of the thresholds; in the order of `_RULES`."""
    return {
        "least_rating": quality.rating_scale.least,
        "most_rating": quality.rating_scale.most,
        "future_after_hours": quality.future_after_hours,
        "period_days": quality.period_days,
        "history_periods": quality.history_periods,
        "minimum_events": quality.minimum_events,
        "minimum_users": quality.minimum_users,
        "minimum_items": quality.minimum_items,
    }


def _timestamps(held: TimeRange | None) -> tuple[datetime | None, datetime | None]:
    return (None, None) if held is None else (held.start, held.end)


def _parameters(scope: Scope) -> dict[str, Any]:
    built = scope.build_parameters
    cutoff = built["cutoff"]
    everywhere = TimeRange()
    return {
        "is_for_all": scope.tenants is None,
        "tenants": list(scope.tenants or [""]),  # an empty array would have no type
        "interaction_types": [str(name) for name in InteractionType],
        "earliest": everywhere.start,
        "latest": everywhere.end,
        "positive_types": list(built["positive_types"]),
        "negatives_per_positive": int(built["negatives_per_positive"]),
        "cutoff": _END_OF_TIME if cutoff in (None, "None") else str(cutoff),
        "now": scope.now,
        **_constants(QualitySettings()),
    }
