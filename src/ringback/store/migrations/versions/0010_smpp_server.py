"""Customers who bind over SMPP: logins, parts of their texts, what they are owed, who is bound."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and the column that says whom receipts of a message go to."""
    op.add_column("messages", sa.Column("receipts_asked", sa.Text(), nullable=True))
    op.create_table(
        "smpp_logins",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("system_id", sa.String(length=15), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("allow", sa.Text(), nullable=False),
        sa.Column("takes_inbound", sa.Boolean(), nullable=False),
        sa.Column("log", sa.String(length=12), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("disconnected_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_smpp_logins")),
        sa.UniqueConstraint("system_id", name=op.f("uq_smpp_logins_system_id")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_smpp_logins_account_id"), "smpp_logins", ["account_id"], unique=False)
    op.create_table(
        "smpp_parts",
        sa.Column("login_id", sa.String(length=36), nullable=False),
        sa.Column("src", sa.String(length=65), nullable=False),
        sa.Column("dst", sa.String(length=65), nullable=False),
        sa.Column("reference", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("total", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("registered_delivery", sa.Integer(), nullable=False),
        sa.Column("came_at_us", sa.BigInteger(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("login_id", "src", "dst", "reference", "total", "number", name=op.f("pk_smpp_parts")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_smpp_parts_due_at_us"), "smpp_parts", ["due_at_us"], unique=False)
    op.create_index(op.f("ix_smpp_parts_message_uuid"), "smpp_parts", ["message_uuid"], unique=False)
    op.create_table(
        "smpp_owed",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("login_id", sa.String(length=36), nullable=False),
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("attempts_made", sa.Integer(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=False),
        sa.Column("lease_token", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_smpp_owed")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_smpp_owed_login_id_due_at_us", "smpp_owed", ["login_id", "due_at_us"], unique=False)
    op.create_table(
        "smpp_binds",
        sa.Column("node", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("node", "number", name=op.f("pk_smpp_binds")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("smpp_binds", "smpp_owed", "smpp_parts", "smpp_logins"):
        op.drop_table(table)
    op.drop_column("messages", "receipts_asked")
