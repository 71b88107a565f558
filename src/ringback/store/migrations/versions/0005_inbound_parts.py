"""Parts of inbound messages."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "inbound_parts",
        sa.Column("connector", sa.String(length=32), nullable=False),
        sa.Column("src", sa.String(length=65), nullable=False),
        sa.Column("dst", sa.String(length=65), nullable=False),
        sa.Column("reference", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("total", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "connector", "src", "dst", "reference", "total", "number", name=op.f("pk_inbound_parts")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_inbound_parts_due_at_us"), "inbound_parts", ["due_at_us"], unique=False)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("inbound_parts")
