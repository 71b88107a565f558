"""Media of MMS; inbound messages, what is answered to them, opt-outs, conversions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "media",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("content_type", sa.String(length=127), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_media_account_id", "media", ["account_id", "id"], unique=False)
    op.create_index(
        "ix_media_expires_at_us",
        "media",
        ["expires_at_us"],
        unique=False,
        sqlite_where=sa.text("expires_at_us IS NOT NULL"),
        postgresql_where=sa.text("expires_at_us IS NOT NULL"),
    )
    op.create_table(
        "message_media",
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("media_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("message_uuid", "position", name=op.f("pk_message_media")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_message_media_media_id"), "message_media", ["media_id"], unique=False)
    op.create_table(
        "media_fetches",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("message_uuids", sa.Text(), nullable=False),
        sa.Column("slots", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("attempts_made", sa.Integer(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=False),
        sa.Column("lease_token", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media_fetches")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_media_fetches_due_at_us"), "media_fetches", ["due_at_us"], unique=False)
    op.create_table(
        "keys",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_keys")),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "conversions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("converted_at_us", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversions")),
    )
    op.create_index(op.f("ix_conversions_message_uuid"), "conversions", ["message_uuid"], unique=False)
    op.create_table(
        "inbound_requests",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("src", sa.Text(), nullable=False),
        sa.Column("dst", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("media_urls", sa.Text(), nullable=False),
        sa.Column("requested_at_us", sa.BigInteger(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=True),
        sa.Column("lease_token", sa.String(length=36), nullable=True),
        sa.Column("message_uuid", sa.String(length=36), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_requests")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_inbound_requests_due_at_us",
        "inbound_requests",
        ["due_at_us"],
        unique=False,
        sqlite_where=sa.text("due_at_us IS NOT NULL"),
        postgresql_where=sa.text("due_at_us IS NOT NULL"),
    )
    op.create_table(
        "inbound_results",
        sa.Column("callback_id", sa.String(length=36), nullable=False),
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempt_number", sa.Integer(), nullable=True),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=False),
        sa.Column("lease_token", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("callback_id", name=op.f("pk_inbound_results")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_inbound_results_due_at_us"), "inbound_results", ["due_at_us"], unique=False)
    op.create_index(op.f("ix_inbound_results_message_uuid"), "inbound_results", ["message_uuid"], unique=False)
    op.create_table(
        "opt_out_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("recipient", sa.String(length=20), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=True),
        sa.Column("intent", sa.String(length=8), nullable=False),
        sa.Column("said_by", sa.String(length=10), nullable=False),
        sa.Column("message_uuid", sa.String(length=36), nullable=True),
        sa.Column("confirmation_uuid", sa.String(length=36), nullable=True),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_out_history")),
    )
    op.create_index(
        "ix_opt_out_history_confirmation_uuid",
        "opt_out_history",
        ["confirmation_uuid"],
        unique=False,
        sqlite_where=sa.text("confirmation_uuid IS NOT NULL"),
        postgresql_where=sa.text("confirmation_uuid IS NOT NULL"),
    )
    op.create_index("ix_opt_out_history_pair", "opt_out_history", ["recipient", "number"], unique=False)
    op.create_table(
        "opt_out_texts",
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("intent", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "intent", name=op.f("pk_opt_out_texts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "opt_outs",
        sa.Column("recipient", sa.String(length=20), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=True),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("recipient", "number", name=op.f("pk_opt_outs")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "xml_replies",
        sa.Column("callback_id", sa.String(length=36), nullable=False),
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("callback_id", name=op.f("pk_xml_replies")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_xml_replies_message_uuid"), "xml_replies", ["message_uuid"], unique=False)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("keys")
    op.drop_index(op.f("ix_media_fetches_due_at_us"), table_name="media_fetches")
    op.drop_table("media_fetches")
    op.drop_index(op.f("ix_message_media_media_id"), table_name="message_media")
    op.drop_table("message_media")
    op.drop_index(
        "ix_media_expires_at_us",
        table_name="media",
        sqlite_where=sa.text("expires_at_us IS NOT NULL"),
        postgresql_where=sa.text("expires_at_us IS NOT NULL"),
    )
    op.drop_index("ix_media_account_id", table_name="media")
    op.drop_table("media")
    op.drop_index(op.f("ix_xml_replies_message_uuid"), table_name="xml_replies")
    op.drop_table("xml_replies")
    op.drop_table("opt_outs")
    op.drop_table("opt_out_texts")
    op.drop_index("ix_opt_out_history_pair", table_name="opt_out_history")
    op.drop_index(
        "ix_opt_out_history_confirmation_uuid",
        table_name="opt_out_history",
        sqlite_where=sa.text("confirmation_uuid IS NOT NULL"),
        postgresql_where=sa.text("confirmation_uuid IS NOT NULL"),
    )
    op.drop_table("opt_out_history")
    op.drop_index(op.f("ix_inbound_results_message_uuid"), table_name="inbound_results")
    op.drop_index(op.f("ix_inbound_results_due_at_us"), table_name="inbound_results")
    op.drop_table("inbound_results")
    op.drop_index(
        "ix_inbound_requests_due_at_us",
        table_name="inbound_requests",
        sqlite_where=sa.text("due_at_us IS NOT NULL"),
        postgresql_where=sa.text("due_at_us IS NOT NULL"),
    )
    op.drop_table("inbound_requests")
    op.drop_index(op.f("ix_conversions_message_uuid"), table_name="conversions")
    op.drop_table("conversions")
