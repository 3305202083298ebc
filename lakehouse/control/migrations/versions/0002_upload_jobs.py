"""Jobs that outlive a process, and the keys by which a repeated request is known."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what a job needs to be run again, and the table of idempotency keys."""
    op.add_column("jobs", sa.Column("request", sa.JSON))
    op.add_column("jobs", sa.Column("progress", sa.JSON))
    op.add_column("jobs", sa.Column("spool_name", sa.String(64)))
    op.add_column("jobs", sa.Column("starts", sa.Integer, nullable=False, server_default="1"))
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.String(63), sa.ForeignKey("tenants.tenant_id"), nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(64), sa.ForeignKey("jobs.job_id"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key_hash"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("idempotency_keys")
    for column in ("starts", "spool_name", "progress", "request"):
        op.drop_column("jobs", column)
