"""Bytes of uploads per tenant and day, beside its events."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "daily_usage",
        sa.Column("upload_bytes", sa.BigInteger, nullable=False, server_default="0"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_column("daily_usage", "upload_bytes")
