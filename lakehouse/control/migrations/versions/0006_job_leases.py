"""How long a job's process is taken for alive by those who cannot see it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the end of the lease; a job of before has none."""
    op.add_column("jobs", sa.Column("held_until", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("jobs") as table:
        table.drop_column("held_until")
