"""Alerts of the delivery analytics, their history, and whose turn it is to look."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("raised_at_us", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at_us", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_at_us", sa.BigInteger(), nullable=True),
        sa.Column("muted_until_us", sa.BigInteger(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_alerts_state_raised_at_us", "alerts", ["state", "raised_at_us"], unique=False)
    op.create_index("ix_alerts_muted_until_us", "alerts", ["muted_until_us"], unique=False)
    op.create_table(
        "alert_notes",
        sa.Column("alert_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("alert_id", "number", name=op.f("pk_alert_notes")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alert_looks",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=False),
        sa.Column("as_of_us", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_looks")),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("alert_looks", "alert_notes", "alerts"):
        op.drop_table(table)
