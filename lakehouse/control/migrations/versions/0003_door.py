"""What the events API and webhooks need: expiring keys, webhook sources, usage, an audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns and tables."""
    op.add_column("api_keys", sa.Column("expires_at", _TIME))
    op.create_table(
        "audit_log",
        sa.Column("entry_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("tenant_id", sa.String(63), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
    )
    op.create_index("ix_audit_log_tenant_id", "audit_log", ["tenant_id"])
    op.create_table(
        "writer_sessions",
        sa.Column("session_id", sa.String(32), primary_key=True),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("owner_host", sa.String(300), nullable=False),
        sa.Column("owner_space", sa.String(200), nullable=False),
        sa.Column("owner_pid", sa.Integer, nullable=False),
        sa.Column("owner_started", sa.String(40), nullable=False),
    )
    op.create_table(
        "daily_usage",
        sa.Column("tenant_id", sa.String(63), sa.ForeignKey("tenants.tenant_id"), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "day"),
    )
    op.create_table(
        "webhook_sources",
        sa.Column("source_id", sa.String(64), primary_key=True),
        sa.Column("tenant_id", sa.String(63), sa.ForeignKey("tenants.tenant_id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("adapter", sa.String(20), nullable=False),
        sa.Column("data_type", sa.String(20), nullable=False),
        sa.Column("mapping", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("previous_secret", sa.Text),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("removed_at", _TIME),
        sa.Column("last_used_at", _TIME),
    )
    op.create_index("ix_webhook_sources_tenant_id", "webhook_sources", ["tenant_id"])
    op.create_table(
        "webhook_messages",
        sa.Column(
            "source_id", sa.String(64), sa.ForeignKey("webhook_sources.source_id"), nullable=False
        ),
        sa.Column("message_hash", sa.String(64), nullable=False),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("session_id", sa.String(32), nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.PrimaryKeyConstraint("source_id", "message_hash"),
    )
    op.create_index("ix_webhook_messages_received_at", "webhook_messages", ["received_at"])


def downgrade() -> None:
    """Drop them."""
    for table in (
        "webhook_messages",
        "webhook_sources",
        "daily_usage",
        "writer_sessions",
        "audit_log",
    ):
        op.drop_table(table)
    op.drop_column("api_keys", "expires_at")
