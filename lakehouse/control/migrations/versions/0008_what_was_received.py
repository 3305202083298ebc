"""What a webhook message was, when a rotated secret was used last, and how large answers are."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("webhook_messages", sa.Column("payload_hash", sa.String(64)))
    op.add_column("webhook_messages", sa.Column("conflicts_with", sa.String(64)))
    used = sa.Column("previous_used_at", sa.DateTime(timezone=True))
    op.add_column("webhook_sources", used)
    size = sa.Column("answer_bytes", sa.Integer, nullable=False, server_default="0")
    op.add_column("idempotency_keys", size)
    op.create_index("ix_idempotency_keys_job_id", "idempotency_keys", ["job_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_idempotency_keys_job_id")
    op.drop_column("idempotency_keys", "answer_bytes")
    op.drop_column("webhook_sources", "previous_used_at")
    op.drop_column("webhook_messages", "conflicts_with")
    op.drop_column("webhook_messages", "payload_hash")
