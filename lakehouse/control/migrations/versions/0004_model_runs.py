"""Runs of the models, and the lock that lets one of them write at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables of runs and of their lock."""
    op.create_table(
        "model_runs",
        sa.Column("run_id", sa.String(300), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("notes", sa.JSON, nullable=False),
    )
    op.create_index("ix_model_runs_started_at", "model_runs", ["started_at"])
    op.create_table(
        "model_run_lock",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("run_id", sa.String(300), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_of_process", sa.Boolean, nullable=False),
        sa.Column("owner_host", sa.String(300), nullable=False),
        sa.Column("owner_space", sa.String(200), nullable=False),
        sa.Column("owner_pid", sa.Integer, nullable=False),
        sa.Column("owner_started", sa.String(40), nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("model_run_lock")
    op.drop_table("model_runs")
