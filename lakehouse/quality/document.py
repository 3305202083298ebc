"""What is known of a tenant's quality, as one JSON document: the page, the report and the API.

Times are UTC, percentages 0 to 100, null means that it was not measured. No field holds a user, an
item or an event. A field that is released keeps its name and meaning within a `schema_version`.
"""

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Final = 1

Percent = float | None
Count = int | None


class _Part(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="ignore")


class Measurement(_Part):
    """One data type of the tenant as it was found once: a row of `ops.data_quality`.

    Percentages are of the rows of a day, counts of the rows since the measurement before
    (docs/quality.md).
    """

    run_id: str | None
    measured_at: datetime
    score: Percent
    freshness_hours: float | None = Field(description="Age of the newest row at that time.")
    completeness_percent: Percent
    validity_percent: Percent
    uniqueness_percent: Percent
    consistency_percent: Percent
    received_count: Count
    stored_count: Count
    duplicate_count: Count
    quarantined_count: Count
    suppressed_count: Count
    incomplete_count: Count
    invalid_count: Count
    inconsistent_count: Count
    retried_count: Count = Field(description="Of batches that were sent a second time.")
    join_rate: float | None = Field(description="Interactions whose item is in the catalogue.")


class DataTypeQuality(_Part):
    """One data type, now and over time."""

    data_type: str
    score: Percent = Field(description="The newest shares with the freshness of now.")
    last_received_at: datetime | None = Field(description="The newest batch of the time looked at.")
    freshness_hours: float | None = Field(description="Hours since then, at `generated_at`.")
    freshness_objective_hours: float
    history: list[Measurement] = Field(description="Oldest first.")
    is_cut: bool = Field(description="Whether older measurements were left out.")


class Rejects(_Part):
    """Open rows of the quarantine with one reason; a row with several is in several counts."""

    data_type: str
    code: str
    field: str
    rows: int
    batches: int
    remedy: str | None = Field(description="What to do about the code; docs/codes.md.")


class Check(_Part):
    """A check of the gate that the tenant did not meet."""

    severity: Literal["failure", "warning"]
    check: str
    layer: str
    table: str
    measured: int | float | str | None
    expected: str
    sentence: str
    see: str = Field(description="A command that shows more.")
    samples: list[dict[str, Any]] = Field(
        default=[], description="Some of the rows behind it, identifiers masked."
    )


class GateVerdict(_Part):
    """What the gate said of the tenant, newest first in a list."""

    checked_at: datetime
    passed: bool
    checks: list[Check] = Field(description="Those not met, failures first.")
    figures: dict[str, dict[str, Any]] = Field(description="Layer → everything that was measured.")


class Run(_Part):
    """A run of the models, and what became of the tenant's training set in it."""

    run_id: str
    state: str = Field(description="running, interrupted, succeeded, refused or failed.")
    started_at: datetime
    finished_at: datetime | None
    outcome: Literal["published", "unchanged", "refused"] | None
    reason: str | None = Field(description="Why it was refused.")


class Node(_Part):
    """A model or test of dbt."""

    name: str
    kind: str
    status: str
    seconds: float
    failures: int | None = Field(description="Rows that a test found.")


class Build(_Part):
    """What dbt made of its models and tests in one run; they are those of all tenants."""

    run_id: str | None
    started_at: datetime
    seconds: float = Field(description="Sum over the run's dbt commands.")
    is_success: bool
    nodes: list[Node] = Field(description="The last result of each, in the order they ended.")


class StageCosts(_Part):
    """What the tenant costs in one stage: what it keeps, and its share of what runs took.

    Sizes are as the last run left them; the others are sums over the runs of the days looked at.
    """

    stage: str = Field(description="A schema of the lake.")
    kept_bytes: Count = Field(description="Of current files.")
    kept_rows: Count
    written_bytes: Count
    seconds: float | None = Field(description="Of models and their tests, by the clock of each.")
    processor_seconds: float | None = Field(description="Null where Spark is a server.")


class QualityReport(_Part):
    """Everything of one tenant."""

    schema_version: int = SCHEMA_VERSION
    generated_at: datetime
    tenant_id: str
    days: int = Field(description="How far back it looks.")
    score: float | None = Field(description="The lowest of its data types' scores of now.")
    data_types: list[DataTypeQuality]
    rejects: list[Rejects] = Field(description="The most frequent first.")
    gates: list[GateVerdict]
    runs: list[Run]
    builds: list[Build]
    costs: list[StageCosts] = Field(default=[], description="In the order that data flows.")
    unread: list[str] = Field(description="Parts that could not be read, in words.")


class DataTypeSummary(_Part):
    """One data type of a tenant now."""

    data_type: str
    score: float | None
    measured_at: datetime | None
    freshness_hours: float | None
    freshness_objective_hours: float


class TenantSummary(_Part):
    """One tenant now."""

    tenant_id: str
    score: float | None
    passed: bool | None = Field(description="The newest verdict of the gate.")
    checked_at: datetime | None
    data_types: list[DataTypeSummary]


class QualityOverview(_Part):
    """Every tenant that the caller may see, the lowest score first."""

    schema_version: int = SCHEMA_VERSION
    generated_at: datetime
    days: int
    tenants: list[TenantSummary]
    unread: list[str]
