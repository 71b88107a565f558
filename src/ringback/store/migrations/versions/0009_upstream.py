"""What is said to providers and asked of them; accounts that are there for reading only."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and the column."""
    op.create_table(
        "conversions_out",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message_uuid", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=24), nullable=False),
        sa.Column("converted_at_us", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts_made", sa.Integer(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=True),
        sa.Column("lease_token", sa.String(length=36), nullable=True),
        sa.Column("tried_at_us", sa.BigInteger(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversions_out")),
        sqlite_autoincrement=True,
    )
    is_due = sa.text("due_at_us IS NOT NULL")
    op.create_index(
        "ix_conversions_out_due",
        "conversions_out",
        ["source", "due_at_us"],
        sqlite_where=is_due,
        postgresql_where=is_due,
    )
    op.create_index("ix_conversions_out_message", "conversions_out", ["source", "message_uuid", "id"])
    op.create_index("ix_conversions_out_state", "conversions_out", ["state", "id"])
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("subaccount", sa.Text(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliations")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reconciled_messages",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("message_uuid", sa.String(length=64), nullable=False),
        sa.Column("finding", sa.String(length=8), nullable=False),
        sa.Column("ours", sa.Text(), nullable=False),
        sa.Column("theirs", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "message_uuid", name=op.f("pk_reconciled_messages")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_reconciled_messages_finding", "reconciled_messages", ["run_id", "finding"])
    # Accounts that are there already keep what they could do.
    op.add_column("accounts", sa.Column("reads_only", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("accounts", "reads_only")
    op.drop_table("reconciled_messages")
    op.drop_table("reconciliations")
    op.drop_table("conversions_out")
