"""Tables of the request inspector, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

_Uuid = sa.String(36)
_Time = sa.BigInteger

bins = sa.Table(
    "bins",
    metadata,
    sa.Column("id", _Uuid, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    # Null for one of the operator's own.
    sa.Column("account_id", sa.String(20), nullable=True),
    sa.Column("created_at_us", _Time, nullable=False),
    sa.Column("max_captures", sa.Integer, nullable=False),
    sa.Column("max_bytes", sa.BigInteger, nullable=False),
    sa.Column("retention_s", sa.BigInteger, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=True),
    # JSON of inspector.script.Script; null where everything is answered 200.
    sa.Column("script", sa.Text, nullable=True),
    # The number of the last capture before the script was set: its steps are counted from there.
    sa.Column("script_from", sa.BigInteger, nullable=False),
    # Of what is stored: the number of the newest capture ever, how many there are, and what they take.
    sa.Column("last_number", sa.BigInteger, nullable=False),
    sa.Column("captures", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("ix_bins_account_id", bins.c.account_id, bins.c.name)

captures = sa.Table(
    "captures",
    metadata,
    sa.Column("bin_id", _Uuid, primary_key=True),
    # 1, 2, 3 … within its bin, in the order of the commits.
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("received_at_us", _Time, nullable=False),
    sa.Column("method", sa.String(32), nullable=False),
    # Both as on the request line, byte for byte in Latin-1.
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    # JSON list of (name, value) pairs in the order in which they came.
    sa.Column("headers", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    # Why the body is not whole; empty when it is.
    sa.Column("cut", sa.String(12), nullable=False),
    # What counts towards the bin's cap of bytes.
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("peer", sa.String(45), nullable=False),
    # Requests that say the same have the same; which of them this is, from 1.
    sa.Column("group_key", sa.String(40), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    # What was decided with the commit; the status is null where none is answered.
    sa.Column("answer", sa.String(12), nullable=False),
    sa.Column("answered_status", sa.Integer, nullable=True),
    # From the request's head to the end of the answer; null until then, and after a crash.
    sa.Column("duration_us", sa.BigInteger, nullable=True),
    sa.Column("outcome", sa.String(12), nullable=False),
)
sa.Index("ix_captures_bin_id_received_at_us", captures.c.bin_id, captures.c.received_at_us)
sa.Index("ix_captures_bin_id_group_key", captures.c.bin_id, captures.c.group_key, captures.c.attempt)
