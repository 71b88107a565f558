"""Limits, and what counts against them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "account_limits",
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("requests_per_5_s", sa.Integer(), nullable=True),
        sa.Column("lists_per_minute", sa.Integer(), nullable=True),
        sa.Column("concurrent_requests", sa.Integer(), nullable=True),
        sa.Column("messages_per_s", sa.Double(), nullable=True),
        sa.Column("mms_per_s", sa.Double(), nullable=True),
        sa.Column("source_messages_per_s", sa.Double(), nullable=True),
        sa.Column("source_mms_per_s", sa.Double(), nullable=True),
        sa.Column("countries_allowed", sa.Text(), nullable=True),
        sa.Column("countries_blocked", sa.Text(), nullable=True),
        sa.Column("thresholds", sa.Text(), nullable=True),
        sa.Column("alert_url", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_limits")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pacing",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("next_free_at_us", sa.BigInteger(), nullable=False),
        sa.Column("gaps", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_pacing")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "country_counts",
        sa.Column("hour_at_us", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("alerted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("hour_at_us", "account_id", "country", name=op.f("pk_country_counts")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("country_counts", "pacing", "account_limits"):
        op.drop_table(table)
