"""What a run of the models may be asked for, checked before any of it reaches a statement."""

from datetime import UTC, date, datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from lakehouse.contracts.tenant import TenantId
from lakehouse.errors import EtaError


class RunParameters(BaseModel):
    """Everything None or False: the normal run, for all tenants with new data.

    `tenant_id` narrows the run to one tenant. `start_date` to `end_date` (days of arrival, UTC,
    both included) recompute the tenants that sent rows on those days. `cutoff` leaves out rows
    that became known later.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant_id: TenantId | None = None
    start_date: date | None = None
    end_date: date | None = None
    cutoff: datetime | None = None
    full_refresh: bool = False
    seed: int | None = None

    @field_validator("cutoff")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        if self.end_date is not None and self.start_date is None:
            raise ValueError("end_date needs a start_date")
        if self.start_date and self.end_date and self.end_date < self.start_date:
            raise ValueError("end_date is before start_date")
        return self

    @property
    def is_backfill(self) -> bool:
        """Whether days of arrival were named."""
        return self.start_date is not None

    @property
    def variables(self) -> dict[str, Any]:
        """The dbt variables that these parameters set, `tenant_id` apart; JSON values."""
        found: dict[str, Any] = {}
        if self.cutoff is not None:
            found["cutoff"] = self.cutoff.isoformat()
        if self.seed is not None:
            found["seed"] = self.seed
        return found

    @property
    def given(self) -> dict[str, Any]:
        """What differs from the normal run, as JSON values."""
        document: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        return document


def read_parameters(given: dict[str, Any]) -> RunParameters:
    """Return checked parameters, an empty text as None; raises `EtaError` naming what is wrong."""
    held = {name: value for name, value in given.items() if value not in (None, "")}
    try:
        return RunParameters.model_validate(held)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise EtaError(
            f"{place or 'the parameters'}: {first['msg'].removeprefix('Value error, ')}",
            remedy="tenant_id is 1 to 63 of a-z, 0-9, '-' and '_'; start_date and end_date are "
            "days (2026-05-01), cutoff a time (2026-05-01T12:00:00Z), full_refresh true or false",
        ) from error
