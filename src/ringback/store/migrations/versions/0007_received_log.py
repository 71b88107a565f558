"""The order in which events were received, and the callbacks that hand them on."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and put what was received before into its order."""
    op.create_table(
        "received_log",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_received_log")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "received_forwards",
        sa.Column("callback_id", sa.String(length=36), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("callback_id", name=op.f("pk_received_forwards")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_received_forwards_request_id"), "received_forwards", ["request_id"], unique=False)
    op.execute(
        "INSERT INTO received_log (request_id, source) "
        "SELECT request_id, source FROM received_events ORDER BY request_id"
    )


def downgrade() -> None:
    """Remove the tables."""
    op.drop_table("received_forwards")
    op.drop_table("received_log")
