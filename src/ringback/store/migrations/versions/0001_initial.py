"""The first schema: accounts, messages, callbacks, endpoints, what is received, logins."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "submissions",
    "sticky_senders",
    "rollups",
    "replays",
    "received_requests",
    "received_events",
    "powerpacks",
    "numbers",
    "messages",
    "logins",
    "events",
    "endpoints",
    "early_receipts",
    "callbacks",
    "callback_queue",
    "auth_tokens",
    "attempts",
    "applications",
    "accounts",
)


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("auth_id", sa.String(length=20), nullable=False),
        sa.Column("parent_id", sa.String(length=20), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("retry_delays", sa.Text(), nullable=True),
        sa.Column("modified_at_us", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.Column("account_type", sa.String(length=10), nullable=False),
        sa.Column("billing_mode", sa.String(length=8), nullable=False),
        sa.Column("auto_recharge", sa.Boolean(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("auth_id", name=op.f("pk_accounts")),
    )
    op.create_index(
        "ix_accounts_parent_id",
        "accounts",
        ["parent_id"],
        unique=False,
        sqlite_where=sa.text("parent_id IS NOT NULL"),
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_table(
        "applications",
        sa.Column("app_id", sa.String(length=17), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("subaccount_id", sa.String(length=20), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("answer_url", sa.Text(), nullable=False),
        sa.Column("answer_method", sa.String(length=4), nullable=False),
        sa.Column("hangup_url", sa.Text(), nullable=False),
        sa.Column("hangup_method", sa.String(length=4), nullable=False),
        sa.Column("fallback_answer_url", sa.Text(), nullable=False),
        sa.Column("fallback_method", sa.String(length=4), nullable=False),
        sa.Column("message_url", sa.Text(), nullable=False),
        sa.Column("message_method", sa.String(length=4), nullable=False),
        sa.Column("is_default_number_app", sa.Boolean(), nullable=False),
        sa.Column("is_default_endpoint_app", sa.Boolean(), nullable=False),
        sa.Column("is_public_uri", sa.Boolean(), nullable=False),
        sa.Column("log_incoming_messages", sa.Boolean(), nullable=False),
        sa.Column("retry_delays", sa.Text(), nullable=True),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", name=op.f("pk_applications")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_applications_account_id", "applications", ["account_id", "created_at_us"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("callback_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("planned_at_us", sa.BigInteger(), nullable=False),
        sa.Column("started_at_us", sa.BigInteger(), nullable=False),
        sa.Column("duration_us", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("request_headers", sa.Text(), nullable=False),
        sa.Column("response_headers", sa.Text(), nullable=False),
        sa.Column("response_body", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("callback_id", "number", name=op.f("pk_attempts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "auth_tokens",
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_auth_tokens")),
    )
    op.create_index(op.f("ix_auth_tokens_account_id"), "auth_tokens", ["account_id"], unique=False)
    op.create_index(
        "ix_auth_tokens_expires_at_us",
        "auth_tokens",
        ["expires_at_us"],
        unique=False,
        sqlite_where=sa.text("expires_at_us IS NOT NULL"),
        postgresql_where=sa.text("expires_at_us IS NOT NULL"),
    )
    op.create_table(
        "callback_queue",
        sa.Column("callback_id", sa.String(length=36), nullable=False),
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("endpoint_id", sa.String(length=32), nullable=False),
        sa.Column("is_retry", sa.Boolean(), nullable=False),
        sa.Column("attempts_made", sa.Integer(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=True),
        sa.Column("planned_at_us", sa.BigInteger(), nullable=True),
        sa.Column("lease_token", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("callback_id", name=op.f("pk_callback_queue")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_callback_queue_due",
        "callback_queue",
        ["endpoint_id", "is_retry", "due_at_us"],
        unique=False,
        sqlite_where=sa.text("due_at_us IS NOT NULL"),
        postgresql_where=sa.text("due_at_us IS NOT NULL"),
    )
    op.create_index("ix_callback_queue_message_uuid", "callback_queue", ["message_uuid", "sequence"], unique=False)
    op.create_table(
        "callbacks",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("method", sa.String(length=4), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("done_at_us", sa.BigInteger(), nullable=True),
        sa.Column("resend_of", sa.String(length=36), nullable=True),
        sa.Column("retry_delays", sa.Text(), nullable=True),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callbacks")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_callbacks_without_message",
        "callbacks",
        ["created_at_us"],
        unique=False,
        sqlite_where=sa.text("kind IN ('alert', 'async')"),
        postgresql_where=sa.text("kind IN ('alert', 'async')"),
    )
    op.create_index(
        "ix_callbacks_resend_of",
        "callbacks",
        ["resend_of"],
        unique=False,
        sqlite_where=sa.text("resend_of IS NOT NULL"),
        postgresql_where=sa.text("resend_of IS NOT NULL"),
    )
    op.create_index("ix_callbacks_account_id", "callbacks", ["account_id", "id"], unique=False)
    op.create_index(
        "ix_callbacks_given_up",
        "callbacks",
        ["created_at_us"],
        unique=False,
        sqlite_where=sa.text("state = 'given_up'"),
        postgresql_where=sa.text("state = 'given_up'"),
    )
    op.create_index(op.f("ix_callbacks_message_uuid"), "callbacks", ["message_uuid"], unique=False)
    op.create_table(
        "early_receipts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("carrier_ref", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("error_code", sa.String(length=8), nullable=True),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_early_receipts")),
    )
    op.create_index("ix_early_receipts_carrier_ref", "early_receipts", ["connector", "carrier_ref"], unique=False)
    op.create_index("ix_early_receipts_at_us", "early_receipts", ["at_us"], unique=False)
    op.create_table(
        "endpoints",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("paused_by", sa.String(length=8), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.Column("cooldown_us", sa.BigInteger(), nullable=False),
        sa.Column("probe_at_us", sa.BigInteger(), nullable=True),
        sa.Column("parked_at_us", sa.BigInteger(), nullable=True),
        sa.Column("reopened_at_us", sa.BigInteger(), nullable=True),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("first_ready_at_us", sa.BigInteger(), nullable=True),
        sa.Column("retry_ready_at_us", sa.BigInteger(), nullable=True),
        sa.Column("is_full", sa.Boolean(), nullable=False),
        sa.Column("looked_at_us", sa.BigInteger(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("rate_per_minute", sa.Integer(), nullable=True),
        sa.Column("retry_delays", sa.Text(), nullable=True),
        sa.Column("keep_parked", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_endpoints_account_id", "endpoints", ["account_id"], unique=False)
    op.create_index("ix_endpoints_state", "endpoints", ["state"], unique=False)
    op.create_index(
        "ix_endpoints_first_ready",
        "endpoints",
        ["lane", "first_ready_at_us"],
        unique=False,
        sqlite_where=sa.text("first_ready_at_us IS NOT NULL"),
        postgresql_where=sa.text("first_ready_at_us IS NOT NULL"),
    )
    op.create_index(
        "ix_endpoints_retry_ready",
        "endpoints",
        ["retry_ready_at_us"],
        unique=False,
        sqlite_where=sa.text("retry_ready_at_us IS NOT NULL"),
        postgresql_where=sa.text("retry_ready_at_us IS NOT NULL"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("flag", sa.String(length=12), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("error_code", sa.String(length=8), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_message_uuid"), "events", ["message_uuid"], unique=False)
    op.create_table(
        "logins",
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_logins")),
    )
    op.create_index(op.f("ix_logins_expires_at_us"), "logins", ["expires_at_us"], unique=False)
    op.create_table(
        "messages",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("src", sa.Text(), nullable=False),
        sa.Column("dst", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("encoding", sa.String(length=4), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("rate", sa.String(length=16), nullable=False),
        sa.Column("carrier_fees_rate", sa.String(length=16), nullable=True),
        sa.Column("log", sa.String(length=12), nullable=False),
        sa.Column("trackable", sa.Boolean(), nullable=False),
        sa.Column("callback_url", sa.Text(), nullable=True),
        sa.Column("callback_method", sa.String(length=4), nullable=False),
        sa.Column("callback_retry_delays", sa.Text(), nullable=True),
        sa.Column("requester_ip", sa.String(length=45), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("powerpack_uuid", sa.String(length=36), nullable=True),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(length=8), nullable=True),
        sa.Column("connector", sa.Text(), nullable=True),
        sa.Column("carrier_ref", sa.Text(), nullable=True),
        sa.Column("mcc", sa.String(length=3), nullable=True),
        sa.Column("mnc", sa.String(length=3), nullable=True),
        sa.Column("network", sa.Text(), nullable=True),
        sa.Column("queued_at_us", sa.BigInteger(), nullable=False),
        sa.Column("sent_at_us", sa.BigInteger(), nullable=True),
        sa.Column("final_at_us", sa.BigInteger(), nullable=True),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_messages")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_messages_account_id_queued_at_us",
        "messages",
        [
            "account_id",
            "queued_at_us",
            "uuid",
            "status",
            "direction",
            "type",
            "country",
            "src",
            "log",
            "powerpack_uuid",
        ],
        unique=False,
    )
    op.create_index("ix_messages_account_id_dst", "messages", ["account_id", "dst", "queued_at_us"], unique=False)
    op.create_index(
        "ix_messages_failures",
        "messages",
        ["account_id", "queued_at_us", "uuid", "status", "error_code"],
        unique=False,
        sqlite_where=sa.text("status IN ('failed', 'undelivered')"),
        postgresql_where=sa.text("status IN ('failed', 'undelivered')"),
    )
    op.create_index(
        "ix_messages_carrier_ref",
        "messages",
        ["connector", "carrier_ref"],
        unique=False,
        sqlite_where=sa.text("carrier_ref IS NOT NULL"),
        postgresql_where=sa.text("carrier_ref IS NOT NULL"),
    )
    op.create_index("ix_messages_queued_at_us", "messages", ["queued_at_us"], unique=False)
    op.create_table(
        "numbers",
        sa.Column("number", sa.String(length=15), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("type", sa.String(length=10), nullable=False),
        sa.Column("area_code", sa.String(length=8), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("rate_center", sa.Text(), nullable=False),
        sa.Column("lata", sa.Integer(), nullable=True),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("is_own", sa.Boolean(), nullable=False),
        sa.Column("sms_enabled", sa.Boolean(), nullable=False),
        sa.Column("mms_enabled", sa.Boolean(), nullable=False),
        sa.Column("voice_enabled", sa.Boolean(), nullable=False),
        sa.Column("setup_rate", sa.String(length=16), nullable=False),
        sa.Column("monthly_rate", sa.String(length=16), nullable=False),
        sa.Column("sms_rate", sa.String(length=16), nullable=False),
        sa.Column("mms_rate", sa.String(length=16), nullable=False),
        sa.Column("voice_rate", sa.String(length=16), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=True),
        sa.Column("subaccount_id", sa.String(length=20), nullable=True),
        sa.Column("app_id", sa.String(length=17), nullable=True),
        sa.Column("alias", sa.Text(), nullable=True),
        sa.Column("cnam_lookup", sa.String(length=8), nullable=True),
        sa.Column("cnam", sa.Text(), nullable=True),
        sa.Column("compliance_application_id", sa.Text(), nullable=True),
        sa.Column("profile_uuid", sa.Text(), nullable=True),
        sa.Column("added_at_us", sa.BigInteger(), nullable=True),
        sa.Column("powerpack_uuid", sa.String(length=36), nullable=True),
        sa.Column("pool_service", sa.String(length=3), nullable=True),
        sa.Column("pool_load", sa.BigInteger(), nullable=True),
        sa.Column("pooled_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_numbers")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_numbers_account_id", "numbers", ["account_id", "number"], unique=False)
    op.create_index(
        "ix_numbers_app_id",
        "numbers",
        ["app_id"],
        unique=False,
        sqlite_where=sa.text("app_id IS NOT NULL"),
        postgresql_where=sa.text("app_id IS NOT NULL"),
    )
    op.create_index(
        "ix_numbers_for_rent",
        "numbers",
        ["country", "number"],
        unique=False,
        sqlite_where=sa.text("account_id IS NULL"),
        postgresql_where=sa.text("account_id IS NULL"),
    )
    op.create_index(
        "ix_numbers_powerpack_uuid",
        "numbers",
        ["powerpack_uuid", "number"],
        unique=False,
        sqlite_where=sa.text("powerpack_uuid IS NOT NULL"),
        postgresql_where=sa.text("powerpack_uuid IS NOT NULL"),
    )
    op.create_table(
        "powerpacks",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("subaccount_id", sa.String(length=20), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sticky_sender", sa.Boolean(), nullable=False),
        sa.Column("local_connect", sa.Boolean(), nullable=False),
        sa.Column("app_id", sa.String(length=17), nullable=True),
        sa.Column("priorities", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_powerpacks")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_powerpacks_account_id", "powerpacks", ["account_id", "created_at_us"], unique=False)
    op.create_table(
        "received_events",
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message_uuid", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("from_number", sa.Text(), nullable=False),
        sa.Column("to_number", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("mcc", sa.Text(), nullable=True),
        sa.Column("mnc", sa.Text(), nullable=True),
        sa.Column("units", sa.Integer(), nullable=True),
        sa.Column("total_amount", sa.Text(), nullable=True),
        sa.Column("received_at_us", sa.BigInteger(), nullable=False),
        sa.Column("flag", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_received_events")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_received_events_message", "received_events", ["source", "message_uuid"], unique=False)
    op.create_index(
        "uq_received_events_once",
        "received_events",
        ["source", "message_uuid", "status"],
        unique=True,
        sqlite_where=sa.text("flag != 'duplicate'"),
        postgresql_where=sa.text("flag != 'duplicate'"),
    )
    op.create_table(
        "received_requests",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("received_at_us", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("peer", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_received_requests")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_received_requests_source_received_at_us", "received_requests", ["source", "received_at_us"], unique=False
    )
    op.create_table(
        "replays",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=True),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("rate_per_s", sa.Double(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("counted_all", sa.Boolean(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("after_id", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_replays_account_id", "replays", ["account_id", "id"], unique=False)
    op.create_index(
        "ix_replays_due_at_us",
        "replays",
        ["due_at_us"],
        unique=False,
        sqlite_where=sa.text("due_at_us IS NOT NULL"),
        postgresql_where=sa.text("due_at_us IS NOT NULL"),
    )
    op.create_table(
        "rollups",
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("hour_at_us", sa.BigInteger(), nullable=False),
        sa.Column("measure", sa.String(length=16), nullable=False),
        sa.Column("bucket", sa.String(length=16), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "hour_at_us", "measure", "bucket", name=op.f("pk_rollups")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sticky_senders",
        sa.Column("powerpack_uuid", sa.String(length=36), nullable=False),
        sa.Column("recipient", sa.String(length=15), nullable=False),
        sa.Column("number", sa.String(length=15), nullable=False),
        sa.Column("used_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("powerpack_uuid", "recipient", name=op.f("pk_sticky_senders")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_sticky_senders_used_at_us"), "sticky_senders", ["used_at_us"], unique=False)
    op.create_table(
        "submissions",
        sa.Column("message_uuid", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("src", sa.Text(), nullable=False),
        sa.Column("dst", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("attempts_made", sa.Integer(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=False),
        sa.Column("lease_token", sa.String(length=36), nullable=True),
        sa.Column("media", sa.Text(), nullable=True),
        sa.Column("price", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.String(length=4), nullable=True),
        sa.PrimaryKeyConstraint("message_uuid", name=op.f("pk_submissions")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_submissions_due_at_us"), "submissions", ["due_at_us"], unique=False)


def downgrade() -> None:
    """Drop the tables; their indexes go with them."""
    for table in TABLES:
        op.drop_table(table)
