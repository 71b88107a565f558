"""Tables of customers who bind to Ringback over SMPP, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

_Uuid = sa.String(36)
_AuthId = sa.String(20)
_Time = sa.BigInteger

smpp_logins = sa.Table(
    "smpp_logins",
    metadata,
    # A login that is removed and one of the same name that is made later are not the same.
    sa.Column("id", _Uuid, primary_key=True),
    sa.Column("system_id", sa.String(15), nullable=False, unique=True),
    sa.Column("account_id", _AuthId, nullable=False, index=True),
    sa.Column("password_hash", sa.Text, nullable=False),
    # Networks with commas between that it may bind from; empty for any.
    sa.Column("allow", sa.Text, nullable=False),
    # Whether messages to numbers of its account go to it.
    sa.Column("takes_inbound", sa.Boolean, nullable=False),
    # What is kept of its messages, as the parameter log of the API.
    sa.Column("log", sa.String(12), nullable=False),
    sa.Column("created_at_us", _Time, nullable=False),
    # Binds from before then are ended.
    sa.Column("disconnected_at_us", _Time, nullable=False),
    sqlite_with_rowid=False,
)

# Hot: parts of texts that customers submit, until the others are there or nobody waits for them any longer.
smpp_parts = sa.Table(
    "smpp_parts",
    metadata,
    sa.Column("login_id", _Uuid, primary_key=True),
    sa.Column("src", sa.String(65), primary_key=True),
    sa.Column("dst", sa.String(65), primary_key=True),
    sa.Column("reference", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("total", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    # Of the message that they become: the same for all parts of a text.
    sa.Column("message_uuid", _Uuid, nullable=False, index=True),
    sa.Column("account_id", _AuthId, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("registered_delivery", sa.Integer, nullable=False),
    sa.Column("came_at_us", _Time, nullable=False),
    # When nobody waits for the others any longer.
    sa.Column("due_at_us", _Time, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# Hot: receipts and inbound messages that a login has not acknowledged yet. As submissions are, a row is leased by
# moving its due time, and deleted when it is done.
smpp_owed = sa.Table(
    "smpp_owed",
    metadata,
    sa.Column("id", _Uuid, primary_key=True),
    sa.Column("login_id", _Uuid, nullable=False),
    sa.Column("message_uuid", _Uuid, nullable=False),
    # receipt or inbound, and JSON of what it says.
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("attempts_made", sa.Integer, nullable=False),
    sa.Column("due_at_us", _Time, nullable=False),
    sa.Column("lease_token", _Uuid, nullable=True),
    sqlite_with_rowid=False,
)
sa.Index("ix_smpp_owed_login_id_due_at_us", smpp_owed.c.login_id, smpp_owed.c.due_at_us)

smpp_binds = sa.Table(
    "smpp_binds",
    metadata,
    # The process that has the bind, and its number there.
    sa.Column("node", sa.String(40), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account_id", _AuthId, nullable=False),
    sa.Column("at_us", _Time, nullable=False),
    # JSON of store.smpp_binds.Bind.
    sa.Column("snapshot", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
