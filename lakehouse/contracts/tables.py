"""Arrow schemas of the tables that the ingestion service writes: the single source.

Every table is partitioned by `tenant_id` first. Raw tables use `ingest_date`, not the event's date:
one upload of history would otherwise make a thousand partitions.
"""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from lakehouse.contracts.fields import CONTEXT_FIELDS, SENT_FIELDS, DataTypeDefinition, FieldKind
from lakehouse.contracts.kinds import DataType

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
PRICE: Final = pa.decimal128(18, 4)

CONTEXT: Final = pa.struct([pa.field(name, pa.string()) for name in CONTEXT_FIELDS])

_KINDS: Final = {
    FieldKind.TIMESTAMP: TIMESTAMP,
    FieldKind.NUMBER: pa.float64(),
    FieldKind.DECIMAL: PRICE,
    FieldKind.BOOLEAN: pa.bool_(),
}
"""The others are strings; a JSON object is one as text."""

_PROVENANCE: Final = (
    pa.field("known_at", TIMESTAMP, nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("batch_id", pa.string(), nullable=False),
    pa.field("source_ref", pa.string(), nullable=False),
)

_KEYS: Final = (
    pa.field("tenant_id", pa.string(), nullable=False),
    pa.field("ingest_date", pa.date32(), nullable=False),
)

# Which attempt at a batch wrote a row. It counts if and only if the raw table's application
# transaction of the batch has this version; a killed attempt leaves rows that do not count.
ATTEMPT: Final = pa.field("attempt", pa.int64(), nullable=False)


def raw_schema(definition: DataTypeDefinition) -> pa.Schema:
    """Return the raw table's schema: the fields in their order, the context where its first is."""
    columns = {"event_id": pa.field("event_id", pa.string(), nullable=False)}
    for field in definition.fields:
        if definition.is_in_context(field):
            columns["context"] = pa.field("context", CONTEXT)
        elif field.column not in columns:
            kind = _KINDS.get(field.kind, pa.string())
            is_needed = field.required or field.column == definition.time_column
            columns[field.column] = pa.field(field.column, kind, nullable=not is_needed)
    # Which of the fields that are carried forward the row sent; null: all of them.
    sent = [pa.field(SENT_FIELDS, pa.list_(pa.string()))] if definition.carried else []
    return pa.schema([*_KEYS, *columns.values(), *_PROVENANCE, *sent])


QUARANTINE: Final = pa.schema(
    [
        *_KEYS,
        pa.field("data_type", pa.string(), nullable=False),
        pa.field("raw", pa.binary(), nullable=False),
        pa.field(
            "reasons",
            pa.list_(
                pa.struct(
                    [
                        pa.field("code", pa.string()),
                        pa.field("field", pa.string()),
                        pa.field("message", pa.string()),
                    ]
                )
            ),
            nullable=False,
        ),
        pa.field("schema_version", pa.int32(), nullable=False),
        pa.field("layout", pa.string(), nullable=False),  # a `SourceLayout`, how to read `raw`
        ATTEMPT,
        *_PROVENANCE,
    ]
)

# One row per row that left the quarantine; the quarantine itself only grows. `known_at` is the
# time of the replay; batch and place are those of the row.
REPLAY_OUTCOMES: Final = pa.schema(
    [
        *_KEYS,
        pa.field("data_type", pa.string(), nullable=False),
        pa.field("replay", pa.int32(), nullable=False),
        ATTEMPT,
        pa.field("outcome", pa.string(), nullable=False),  # stored, duplicate or suppressed
        pa.field("is_edited", pa.bool_(), nullable=False),
        *_PROVENANCE,
    ]
)

# The counts of a batch are the sums over its rows: one of the batch itself (`replay` 0) and one
# per replay, which moves rows out of `quarantined`.
INGEST_LEDGER: Final = pa.schema(
    [
        *_KEYS,
        pa.field("data_type", pa.string(), nullable=False),
        pa.field("replay", pa.int32(), nullable=False),
        ATTEMPT,
        pa.field("received", pa.int64(), nullable=False),
        pa.field("stored", pa.int64(), nullable=False),
        pa.field("duplicate", pa.int64(), nullable=False),
        pa.field("quarantined", pa.int64(), nullable=False),
        pa.field("suppressed", pa.int64(), nullable=False),
        *_PROVENANCE,
    ]
)

# Rows that left a table other than by a replay: `expired` by age, or `erased`. One row per batch
# they were of, written before they are removed; it counts once the table they left has the
# application transaction (`removal_id`, `attempt`). `ingest_date` is the removed rows' own.
REMOVALS: Final = pa.schema(
    [
        *_KEYS,
        pa.field("table_name", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("removal_id", pa.string(), nullable=False),
        ATTEMPT,
        pa.field("batch_id", pa.string(), nullable=False),
        pa.field("row_count", pa.int64(), nullable=False),
        pa.field("expired_before", TIMESTAMP),  # rows known earlier have left; null: erased
        pa.field("known_at", TIMESTAMP, nullable=False),
    ]
)

# The types that a tenant has declared, the weakest first. `value_scale`: what a rating is divided
# by where it scales the weight; null where it does not.
EVENT_TYPES: Final = pa.list_(
    pa.struct(
        [
            pa.field("name", pa.string()),
            pa.field("weight", pa.float64()),
            pa.field("value_scale", pa.float64()),
            pa.field("undoes", pa.string()),
        ]
    )
)

# Append-only: the newest version of a tenant counts. A null means the project's default.
TENANT_SETTINGS: Final = pa.schema(
    [
        pa.field("tenant_id", pa.string(), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("positive_types", pa.list_(pa.string())),
        pa.field("negative_types", pa.list_(pa.string())),
        pa.field("seed", pa.int64()),
        pa.field("negatives_per_positive", pa.int32()),
        pa.field("known_at", TIMESTAMP, nullable=False),
        pa.field("event_types", EVENT_TYPES),
        pa.field("half_life_days", pa.float64()),
        # The events that are interactions, as JSON: see `lakehouse.training.tenant_settings`.
        pa.field("clickstream", pa.string()),
        # The zone and the attributes of training examples, as JSON; null: UTC, and none.
        pa.field("examples", pa.string()),
        # What is conspicuous in its traffic and left out of training, as JSON; null: the defaults.
        pa.field("traffic", pa.string()),
        # How sampled negatives are drawn, as JSON; null: uniformly.
        pa.field("negatives", pa.string()),
    ]
)

# Devices that an erased person shared: what is left would tie them to the other alone. Hashes
# (`privacy.devices`), so that the table names nobody.
SHARED_DEVICES: Final = pa.schema(
    [
        pa.field("tenant_id", pa.string(), nullable=False),
        pa.field("device_hash", pa.string(), nullable=False),
        pa.field("known_at", TIMESTAMP, nullable=False),
    ]
)

# How good a tenant's data is, measured after a run: a row per tenant and data type that sent
# something since its row before. Counts are of what came since then, and their sums over all rows
# are the state now: a row may take back what a replay corrected. Shares and score are over the rows
# of the last day (docs/quality.md). Append-only.
DATA_QUALITY: Final = pa.schema(
    [
        pa.field("tenant_id", pa.string(), nullable=False),
        pa.field("data_type", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("measured_at", TIMESTAMP, nullable=False),
        pa.field("freshness_hours", pa.float64()),
        pa.field("completeness_percent", pa.float64()),
        pa.field("validity_percent", pa.float64()),
        pa.field("uniqueness_percent", pa.float64()),
        pa.field("consistency_percent", pa.float64()),
        pa.field("score", pa.float64()),
        pa.field("received_count", pa.int64(), nullable=False),
        pa.field("stored_count", pa.int64(), nullable=False),
        pa.field("duplicate_count", pa.int64(), nullable=False),
        pa.field("quarantined_count", pa.int64(), nullable=False),
        pa.field("suppressed_count", pa.int64(), nullable=False),
        pa.field("incomplete_count", pa.int64(), nullable=False),
        pa.field("invalid_count", pa.int64(), nullable=False),
        pa.field("inconsistent_count", pa.int64(), nullable=False),
        pa.field("retried_count", pa.int64(), nullable=False),  # of batches sent a second time
        pa.field("staging_duplicate_count", pa.int64(), nullable=False),
        pa.field("staging_conflict_count", pa.int64(), nullable=False),
        pa.field("join_rate", pa.float64()),  # null: no catalogue, or the models have not run
        pa.field("newest_known_at", TIMESTAMP),
        pa.field("ledger_version", pa.int64(), nullable=False),  # read up to this one
        # Of the tenant's interactions, over all time; null: the models have not counted them.
        pa.field("rate_flagged_percent", pa.float64()),
        pa.field("uniformity_flagged_percent", pa.float64()),
        pa.field("agent_flagged_percent", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table that delta-rs writes: where it stands, its shape and its statistics columns.

    `stats_columns` are the only columns whose minimum and maximum enter the Delta log. None of
    them identifies a person: what stands in the log outlives the row (see docs/adr).
    """

    schema_name: str
    name: str
    schema: pa.Schema
    stats_columns: tuple[str, ...]
    partition_by: tuple[str, ...] = ("tenant_id", "ingest_date")
    has_change_feed: bool = True
    added_columns: tuple[str, ...] = ()
    """Nullable columns that tables of earlier releases lack; they are added when one is ensured."""
    subjects: tuple[str, ...] = ()
    """The columns that name a person."""

    @property
    def path(self) -> str:
        """Location below the lake's root."""
        return f"{self.schema_name}/{self.name}"

    @property
    def full_name(self) -> str:
        """`schema.table`, as SQL knows it."""
        return f"{self.schema_name}.{self.name}"


def _raw_table(data_type: DataType) -> TableSpec:
    one = data_type.definition
    return TableSpec(
        "raw",
        data_type.value,
        raw_schema(one),
        (one.time_column, "known_at"),
        added_columns=(SENT_FIELDS,) if one.carried else (),
        subjects=one.subjects,
    )


RAW_TABLES: Final[dict[DataType, TableSpec]] = {kind: _raw_table(kind) for kind in DataType}
"""Where the accepted rows of a data type stand."""
PERSONAL_TABLES: Final = tuple(spec for spec in RAW_TABLES.values() if spec.subjects)
"""Those of them whose rows are of people."""
RAW_INTERACTIONS: Final = RAW_TABLES[DataType.INTERACTIONS]
RAW_ITEMS: Final = RAW_TABLES[DataType.ITEMS]
RAW_CLICKSTREAM: Final = RAW_TABLES[DataType.CLICKSTREAM]
RAW_USERS: Final = RAW_TABLES[DataType.USERS]
RAW_QUARANTINE: Final = TableSpec("raw", "quarantine", QUARANTINE, ("known_at",))
OPS_REPLAY_OUTCOMES: Final = TableSpec("ops", "replay_outcomes", REPLAY_OUTCOMES, ("known_at",))
OPS_INGEST_LEDGER: Final = TableSpec("ops", "ingest_ledger", INGEST_LEDGER, ("known_at",))
OPS_REMOVALS: Final = TableSpec("ops", "removals", REMOVALS, ("expired_before", "known_at"))
OPS_TENANT_SETTINGS: Final = TableSpec(
    "ops",
    "tenant_settings",
    TENANT_SETTINGS,
    ("version",),
    partition_by=("tenant_id",),
    added_columns=(
        "event_types",
        "half_life_days",
        "clickstream",
        "examples",
        "traffic",
        "negatives",
    ),
)
OPS_SHARED_DEVICES: Final = TableSpec(
    "ops", "shared_devices", SHARED_DEVICES, ("known_at",), partition_by=("tenant_id",)
)
OPS_DATA_QUALITY: Final = TableSpec(
    "ops",
    "data_quality",
    DATA_QUALITY,
    ("measured_at", "ledger_version"),
    partition_by=("tenant_id",),
    has_change_feed=False,
    added_columns=("rate_flagged_percent", "uniformity_flagged_percent", "agent_flagged_percent"),
)

SERVICE_TABLES: Final = (
    *RAW_TABLES.values(),
    RAW_QUARANTINE,
    OPS_REPLAY_OUTCOMES,
    OPS_INGEST_LEDGER,
    OPS_REMOVALS,
    OPS_TENANT_SETTINGS,
    OPS_SHARED_DEVICES,
    OPS_DATA_QUALITY,
)
