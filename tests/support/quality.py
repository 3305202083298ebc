"""Batches with planted faults, and a recount of their quality in DuckDB."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
from deltalake import DeltaTable

from ingest_service.pipeline.counts import Counts
from ingest_service.pipeline.rows import quarantine_rows
from ingest_service.sinks.base import BatchKey
from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.reasons import ReasonCode
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, OPS_REPLAY_OUTCOMES, RAW_QUARANTINE
from lakehouse.contracts.tenant import DataType
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from tests.contract.test_sinks import interactions, outcomes, refs

FAULTS = {
    "incomplete": (ReasonCode.MISSING_VALUE,),
    "invalid": (ReasonCode.BAD_TIMESTAMP,),
    "inconsistent": (ReasonCode.CONFLICTING_EVENT,),
    "both": (ReasonCode.MISSING_SUBJECT, ReasonCode.BAD_NUMBER, ReasonCode.VALUE_TOO_LONG),
}


@dataclass(frozen=True)
class Plan:
    """What a batch is to hold, by what becomes of its rows."""

    good: int = 0
    duplicate: int = 0
    suppressed: int = 0
    incomplete: int = 0
    invalid: int = 0
    inconsistent: int = 0
    both: int = 0

    @property
    def quarantined(self) -> int:
        return self.incomplete + self.invalid + self.inconsistent + self.both


def plant(
    sink: DeltaSink,
    batch_id: str,
    plan: Plan,
    *,
    tenant: str = "acme",
    known_at: datetime | None = None,
    data_type: DataType = DataType.INTERACTIONS,
) -> BatchKey:
    """Store a batch as the service does; of another kind than interactions, without raw rows."""
    known_at = known_at or datetime.now(UTC)
    batch = BatchKey(tenant, data_type, batch_id, known_at, "csv")
    begun = sink.begin(batch)
    if plan.good and data_type is DataType.INTERACTIONS:
        begun.append(interactions(batch, *(f"{batch_id}-{n}" for n in range(plan.good))))
    reasons = [
        [{"code": code.value, "field": "f", "message": "m"} for code in codes]
        for name, codes in FAULTS.items()
        for _ in range(getattr(plan, name))
    ]
    if reasons:
        count = len(reasons)
        rows = quarantine_rows(batch, [b"x"] * count, refs(count), reasons, SourceLayout())
        begun.append_companion(rows)
    kept = (plan.good, plan.duplicate, plan.quarantined, plan.suppressed)
    assert begun.commit(Counts(sum(kept), *kept))
    return batch


def correct(sink: DeltaSink, batch: BatchKey, replay: int, places: list[str]) -> None:
    """Take rows of a batch's quarantine in, as a replay does."""
    again = BatchKey(
        batch.tenant_id, batch.data_type, batch.batch_id, datetime.now(UTC), "csv", replay
    )
    begun = sink.begin(again)
    users = [f"{batch.batch_id}-corrected-{replay}-{n}" for n in range(len(places))]
    begun.append(interactions(again, *users))
    begun.append_companion(outcomes(again, *places))
    assert begun.commit(Counts(0, len(places), quarantined=-len(places)))


RECOUNT = """
with open_rows as (
    select q.tenant_id, q.data_type, [r.code for r in q.reasons] as codes
    from quarantine q anti join outcomes o
        on q.batch_id = o.batch_id and q.source_ref = o.source_ref
),
faults as (
    select tenant_id, data_type,
        count(*) filter (
            list_has_any(codes, ['missing_value', 'missing_subject'])) as incomplete_count,
        count(*) filter (len(list_filter(codes, lambda c: c not in
            ('missing_value', 'missing_subject', 'conflicting_event'))) > 0) as invalid_count,
        count(*) filter (list_contains(codes, 'conflicting_event')) as inconsistent_count
    from open_rows group by all
),
arrived as (
    select tenant_id, data_type,
        sum(received)::bigint as received_count, sum(stored)::bigint as stored_count,
        sum(duplicate)::bigint as duplicate_count,
        sum(quarantined)::bigint as quarantined_count,
        sum(suppressed)::bigint as suppressed_count,
        coalesce(sum(duplicate) filter (received > 0 and received = duplicate), 0)::bigint
            as retried_count
    from ledger where tenant_id <> '_unattributed' group by all
)
select arrived.*, coalesce(incomplete_count, 0) as incomplete_count,
    coalesce(invalid_count, 0) as invalid_count,
    coalesce(inconsistent_count, 0) as inconsistent_count,
    received_count - suppressed_count - retried_count as base,
    100.0 * (base - coalesce(incomplete_count, 0)) / base as completeness_percent,
    100.0 * (base - coalesce(invalid_count, 0)) / base as validity_percent,
    100.0 * (base - duplicate_count + retried_count) / base as uniqueness_percent,
    100.0 * (base - coalesce(inconsistent_count, 0)) / base as consistency_percent
from arrived left join faults using (tenant_id, data_type)
"""


def recount(lake: LakeSettings) -> dict[tuple[str, str], dict[str, Any]]:
    """Count again from the tables, by other means; staging and the catalogue left out."""
    database = duckdb.connect()
    for name, spec in (
        ("ledger", OPS_INGEST_LEDGER),
        ("quarantine", RAW_QUARANTINE),
        ("outcomes", OPS_REPLAY_OUTCOMES),
    ):
        database.register(name, _rows(Lake(lake).table(spec)))
    found = database.execute(RECOUNT)
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {(row.pop("tenant_id"), row.pop("data_type")): row for row in rows}


def _rows(table: DeltaTable) -> Any:
    return table.to_pyarrow_table()
