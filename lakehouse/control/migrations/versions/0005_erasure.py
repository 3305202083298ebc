"""Erasure: suppression lists, requests and their subjects, and a chain through the audit log."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables, and chain the entries that the audit log has."""
    op.create_table(
        "suppression_lists",
        sa.Column("tenant_id", sa.String(63), sa.ForeignKey("tenants.tenant_id"), primary_key=True),
        sa.Column("hash_key", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "suppressions",
        sa.Column("tenant_id", sa.String(63), sa.ForeignKey("tenants.tenant_id"), nullable=False),
        sa.Column("subject_hash", sa.String(64), nullable=False),
        sa.Column("tied_to", sa.String(64)),
        sa.Column("added_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "subject_hash"),
    )
    op.create_table(
        "erasures",
        sa.Column("request_id", sa.String(32), primary_key=True),
        sa.Column("tenant_id", sa.String(63), sa.ForeignKey("tenants.tenant_id"), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("step", sa.String(16), nullable=False),
        sa.Column("subject_count", sa.Integer, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
        sa.Column("waits_for", sa.JSON, nullable=False),
        sa.Column("notes", sa.JSON, nullable=False),
        sa.Column("subject_key", sa.String(64)),
        sa.Column("certificate", sa.JSON),
    )
    op.create_index("ix_erasures_tenant_id", "erasures", ["tenant_id", "requested_at"])
    op.create_table(
        "erasure_subjects",
        sa.Column(
            "request_id", sa.String(32), sa.ForeignKey("erasures.request_id"), nullable=False
        ),
        sa.Column("subject_hash", sa.String(64), nullable=False),
        sa.Column("tied_to", sa.String(64)),
        sa.Column("sealed", sa.LargeBinary),
        sa.PrimaryKeyConstraint("request_id", "subject_hash"),
    )
    op.add_column("audit_log", sa.Column("entry_hash", sa.String(64)))
    _chain()


def downgrade() -> None:
    """Drop them."""
    op.drop_column("audit_log", "entry_hash")
    for table in ("erasure_subjects", "erasures", "suppressions", "suppression_lists"):
        op.drop_table(table)


def _chain() -> None:
    """As `lakehouse.control.audit.chained` does it now; a migration keeps its own copy."""
    log = sa.table(
        "audit_log",
        *(sa.column(name) for name in ("entry_id", "actor", "action", "tenant_id", "subject")),
        sa.column("at", _TIME),
        sa.column("detail", sa.JSON),
        sa.column("entry_hash"),
    )
    connection = op.get_bind()
    before = ""
    for row in connection.execute(sa.select(log).order_by(log.c.entry_id)).all():
        found = [before, _text(row.at), row.actor, row.action, row.tenant_id, row.subject]
        content = json.dumps([*found, row.detail], sort_keys=True, separators=(",", ":"))
        before = hashlib.sha256(content.encode()).hexdigest()
        mine = log.c.entry_id == row.entry_id
        connection.execute(sa.update(log).where(mine).values(entry_hash=before))


def _text(moment: Any) -> str:
    assert isinstance(moment, datetime)
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat(timespec="microseconds")
