"""Carriers, routes, the parts of messages, and whose turn a submission waits for."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; what waits to be submitted waits for a route to be chosen."""
    _create_routing()
    _create_parts()
    op.add_column("submissions", sa.Column("carrier", sa.String(length=40), nullable=False, server_default=""))
    op.add_column("submissions", sa.Column("route", sa.String(length=40), nullable=True))
    op.add_column("submissions", sa.Column("tried", sa.Text(), nullable=True))
    op.add_column("submissions", sa.Column("unknowns", sa.Integer(), nullable=False, server_default="0"))
    op.drop_index("ix_submissions_due_at_us", table_name="submissions")
    op.create_index("ix_submissions_carrier", "submissions", ["carrier", "due_at_us"], unique=False)
    op.add_column("messages", sa.Column("route", sa.String(length=40), nullable=True))


def _create_routing() -> None:
    op.create_table(
        "carriers",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("rebinds", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("changed_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_carriers")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "routes",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("changed_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_routes")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "routing_version",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_routing_version")),
    )
    op.create_table(
        "carrier_links",
        sa.Column("carrier", sa.String(length=40), nullable=False),
        sa.Column("node", sa.String(length=40), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("carrier", "node", name=op.f("pk_carrier_links")),
        sqlite_with_rowid=False,
    )


def _create_parts() -> None:
    op.create_table(
        "message_parts",
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("carrier_ref", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("error_code", sa.String(length=8), nullable=True),
        sa.PrimaryKeyConstraint("message_uuid", "part", name=op.f("pk_message_parts")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_message_parts_carrier_ref",
        "message_parts",
        ["connector", "carrier_ref"],
        unique=False,
        sqlite_where=sa.text("carrier_ref IS NOT NULL"),
        postgresql_where=sa.text("carrier_ref IS NOT NULL"),
    )
    op.create_table(
        "receipt_deadlines",
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message_uuid", name=op.f("pk_receipt_deadlines")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_receipt_deadlines_due_at_us"), "receipt_deadlines", ["due_at_us"], unique=False)


def downgrade() -> None:
    """Go back to one carrier: what waits stays; the refs of parts are lost."""
    op.drop_column("messages", "route")
    op.drop_index("ix_submissions_carrier", table_name="submissions")
    for column in ("unknowns", "tried", "route", "carrier"):
        op.drop_column("submissions", column)
    op.create_index("ix_submissions_due_at_us", "submissions", ["due_at_us"], unique=False)
    op.drop_index("ix_receipt_deadlines_due_at_us", table_name="receipt_deadlines")
    op.drop_table("receipt_deadlines")
    op.drop_index("ix_message_parts_carrier_ref", table_name="message_parts")
    op.drop_table("message_parts")
    for table in ("carrier_links", "routing_version", "routes", "carriers"):
        op.drop_table(table)
