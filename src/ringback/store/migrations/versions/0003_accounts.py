"""Credit, prices, and the numbers that accounts may send to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _create_accounting()
    _create_known_numbers()


def _create_accounting() -> None:
    """Credit, and prices."""
    op.create_table(
        "balances",
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("refused_until_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_balances")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger",
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("reference", sa.String(length=36), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "at_us", "kind", "reference", name=op.f("pk_ledger")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "prices",
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("network_group", sa.Text(), nullable=False),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.Column("sms_outbound", sa.String(length=16), nullable=True),
        sa.Column("sms_inbound", sa.String(length=16), nullable=True),
        sa.Column("mms_outbound", sa.String(length=16), nullable=True),
        sa.Column("mms_inbound", sa.String(length=16), nullable=True),
        sa.Column("sms_carrier_fee", sa.String(length=16), nullable=True),
        sa.Column("mms_carrier_fee", sa.String(length=16), nullable=True),
        sa.Column("local_rent", sa.String(length=16), nullable=True),
        sa.Column("tollfree_rent", sa.String(length=16), nullable=True),
        sa.Column("mobile_rent", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("country", "network_group", name=op.f("pk_prices")),
        sqlite_with_rowid=False,
    )


def _create_known_numbers() -> None:
    """Numbers of which somebody has shown, or the operator said, whose they are."""
    op.create_table(
        "sandbox_numbers",
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("number", sa.String(length=14), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "number", name=op.f("pk_sandbox_numbers")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "caller_ids",
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("number", sa.String(length=14), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("subaccount", sa.String(length=20), nullable=False),
        sa.Column("verification_uuid", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("modified_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "number", name=op.f("pk_caller_ids")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "verifications",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("number", sa.String(length=14), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("subaccount", sa.String(length=20), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_verifications")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_verifications_number", "verifications", ["account_id", "number"], unique=False)
    op.create_index(op.f("ix_verifications_expires_at_us"), "verifications", ["expires_at_us"], unique=False)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("verifications", "caller_ids", "sandbox_numbers", "prices", "ledger", "balances"):
        op.drop_table(table)
