"""Tables of what is said to providers and asked of them, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

_Uuid = sa.String(36)
_Time = sa.BigInteger

conversions_out = sa.Table(
    "conversions_out",
    metadata,
    # In the order in which they were reported: those of one message go in it.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("message_uuid", sa.String(64), nullable=False),
    sa.Column("value", sa.String(24), nullable=False),
    sa.Column("converted_at_us", _Time, nullable=False),
    sa.Column("recorded_at_us", _Time, nullable=False),
    # pending, sent, or failed: the provider refused it, or the plan is used up.
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("attempts_made", sa.Integer, nullable=False),
    # When to try next, or when the lease ends; null once it is over, and behind an earlier one of the message.
    sa.Column("due_at_us", _Time, nullable=True),
    sa.Column("lease_token", _Uuid, nullable=True),
    sa.Column("tried_at_us", _Time, nullable=True),
    sa.Column("http_status", sa.Integer, nullable=True),
    sa.Column("error", sa.Text, nullable=True),
    sqlite_autoincrement=True,
)
sa.Index(
    "ix_conversions_out_due",
    conversions_out.c.source,
    conversions_out.c.due_at_us,
    sqlite_where=conversions_out.c.due_at_us.is_not(None),
    postgresql_where=conversions_out.c.due_at_us.is_not(None),
)
sa.Index("ix_conversions_out_message", conversions_out.c.source, conversions_out.c.message_uuid, conversions_out.c.id)
sa.Index("ix_conversions_out_state", conversions_out.c.state, conversions_out.c.id)

reconciliations = sa.Table(
    "reconciliations",
    metadata,
    sa.Column("id", _Uuid, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("subaccount", sa.Text, nullable=False),
    sa.Column("since_us", _Time, nullable=False),
    sa.Column("until_us", _Time, nullable=False),
    sa.Column("dry_run", sa.Boolean, nullable=False),
    # running, finished, or abandoned: a later one was begun instead.
    sa.Column("state", sa.String(10), nullable=False),
    # JSON: where to go on, and what was found so far.
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("counts", sa.Text, nullable=False),
    sa.Column("updated_at_us", _Time, nullable=False),
    sqlite_with_rowid=False,
)

# Messages that a reconciliation has looked at. Those of which there is nothing to say go when it ends.
reconciled_messages = sa.Table(
    "reconciled_messages",
    metadata,
    sa.Column("run_id", _Uuid, primary_key=True),
    sa.Column("message_uuid", sa.String(64), primary_key=True),
    # same, missing, behind, ahead, differs or unknown.
    sa.Column("finding", sa.String(8), nullable=False),
    sa.Column("ours", sa.Text, nullable=False),
    sa.Column("theirs", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("ix_reconciled_messages_finding", reconciled_messages.c.run_id, reconciled_messages.c.finding)
