"""The control database's tables, for queries; the migrations create them.

`HEAD` is written here so that opening a database need not import alembic: the service opens one at
every start and the command line at every command. A test compares it, and every table, with what
the migrations make.
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

HEAD: Final = "0008"


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite keeps no offset, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Turn any aware time into UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return an aware UTC time."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData()

tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", String(63), primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

tenant_settings = Table(
    "tenant_settings",
    metadata,
    Column("tenant_id", String(63), ForeignKey("tenants.tenant_id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", JSON, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(64), primary_key=True),
    Column("tenant_id", String(63), ForeignKey("tenants.tenant_id"), nullable=False),
    Column("key_hash", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
    Column("expires_at", UtcTime),
    Index("ix_api_keys_tenant_id", "tenant_id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String(64), primary_key=True),
    Column("tenant_id", String(63), ForeignKey("tenants.tenant_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("result", JSON(none_as_null=True)),
    Column("is_owner_lost", Boolean, nullable=False),
    Column("owner_host", String(300), nullable=False),
    Column("owner_space", String(200), nullable=False),
    Column("owner_pid", Integer, nullable=False),
    Column("owner_started", String(40), nullable=False),
    Column("request", JSON(none_as_null=True)),
    Column("progress", JSON(none_as_null=True)),
    Column("spool_name", String(64)),
    Column("starts", Integer, nullable=False, server_default="1"),
    Column("held_until", UtcTime),
    Index("ix_jobs_tenant_id_created_at", "tenant_id", "created_at"),
    Index("ix_jobs_state", "state"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant_id", String(63), ForeignKey("tenants.tenant_id"), primary_key=True),
    Column("key_hash", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("job_id", String(64), ForeignKey("jobs.job_id"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("answer_bytes", Integer, nullable=False, server_default="0"),
    Index("ix_idempotency_keys_created_at", "created_at"),
    Index("ix_idempotency_keys_job_id", "job_id"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("entry_id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(40), nullable=False),
    Column("tenant_id", String(63), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("entry_hash", String(64)),
    Index("ix_audit_log_tenant_id", "tenant_id"),
)

writer_sessions = Table(
    "writer_sessions",
    metadata,
    Column("session_id", String(32), primary_key=True),
    Column("started_at", UtcTime, nullable=False),
    Column("owner_host", String(300), nullable=False),
    Column("owner_space", String(200), nullable=False),
    Column("owner_pid", Integer, nullable=False),
    Column("owner_started", String(40), nullable=False),
)

daily_usage = Table(
    "daily_usage",
    metadata,
    Column("tenant_id", String(63), ForeignKey("tenants.tenant_id"), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("upload_bytes", BigInteger, nullable=False, server_default="0"),
)

webhook_sources = Table(
    "webhook_sources",
    metadata,
    Column("source_id", String(64), primary_key=True),
    Column("tenant_id", String(63), ForeignKey("tenants.tenant_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("adapter", String(20), nullable=False),
    Column("data_type", String(20), nullable=False),
    Column("mapping", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("removed_at", UtcTime),
    Column("last_used_at", UtcTime),
    Column("previous_used_at", UtcTime),
    Index("ix_webhook_sources_tenant_id", "tenant_id"),
)

webhook_messages = Table(
    "webhook_messages",
    metadata,
    Column("source_id", String(64), ForeignKey("webhook_sources.source_id"), primary_key=True),
    Column("message_hash", String(64), primary_key=True),
    Column("sent_at", BigInteger, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("session_id", String(32), nullable=False),
    Column("payload", LargeBinary),
    Column("payload_hash", String(64)),
    Column("conflicts_with", String(64)),
    Index("ix_webhook_messages_received_at", "received_at"),
)

model_runs = Table(
    "model_runs",
    metadata,
    Column("run_id", String(300), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("parameters", JSON, nullable=False),
    Column("notes", JSON, nullable=False),
    Index("ix_model_runs_started_at", "started_at"),
)

model_run_lock = Table(
    "model_run_lock",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("run_id", String(300), nullable=False),
    Column("taken_at", UtcTime, nullable=False),
    Column("held_until", UtcTime, nullable=False),
    Column("is_of_process", Boolean, nullable=False),
    Column("owner_host", String(300), nullable=False),
    Column("owner_space", String(200), nullable=False),
    Column("owner_pid", Integer, nullable=False),
    Column("owner_started", String(40), nullable=False),
)

suppression_lists = Table(
    "suppression_lists",
    metadata,
    Column("tenant_id", String(63), ForeignKey("tenants.tenant_id"), primary_key=True),
    Column("hash_key", String(64), nullable=False),
    Column("version", Integer, nullable=False),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("tenant_id", String(63), ForeignKey("tenants.tenant_id"), primary_key=True),
    Column("subject_hash", String(64), primary_key=True),
    Column("tied_to", String(64)),
    Column("added_at", UtcTime, nullable=False),
)

erasures = Table(
    "erasures",
    metadata,
    Column("request_id", String(32), primary_key=True),
    Column("tenant_id", String(63), ForeignKey("tenants.tenant_id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("step", String(16), nullable=False),
    Column("subject_count", Integer, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("waits_for", JSON, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("subject_key", String(64)),
    Column("certificate", JSON(none_as_null=True)),
    Index("ix_erasures_tenant_id", "tenant_id", "requested_at"),
)

erasure_subjects = Table(
    "erasure_subjects",
    metadata,
    Column("request_id", String(32), ForeignKey("erasures.request_id"), primary_key=True),
    Column("subject_hash", String(64), primary_key=True),
    Column("tied_to", String(64)),
    Column("sealed", LargeBinary),
)
