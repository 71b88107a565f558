"""Tables of carriers, routes and the parts of messages, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

_Uuid = sa.String(36)
_AuthId = sa.String(20)
_Time = sa.BigInteger

carriers = sa.Table(
    "carriers",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("kind", sa.String(12), nullable=False),
    # JSON of what its kind wants; may hold passwords: never shown as it is.
    sa.Column("settings", sa.Text, nullable=False),
    # Submissions in flight at once; null where the setting applies.
    sa.Column("capacity", sa.Integer, nullable=True),
    sa.Column("is_paused", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=True),
    # How often somebody asked for its links to be made anew.
    sa.Column("rebinds", sa.Integer, nullable=False),
    # file or command: who may change it.
    sa.Column("source", sa.String(8), nullable=False),
    sa.Column("changed_at_us", _Time, nullable=False),
    sqlite_with_rowid=False,
)

routes = sa.Table(
    "routes",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    # JSON of model.routes.Route, but for what has a column here.
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("is_paused", sa.Boolean, nullable=False),
    sa.Column("source", sa.String(8), nullable=False),
    sa.Column("changed_at_us", _Time, nullable=False),
    sqlite_with_rowid=False,
)

routing_version = sa.Table(
    "routing_version",
    metadata,
    # One row: it is one more after each change of the two tables above.
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.BigInteger, nullable=False),
)

carrier_links = sa.Table(
    "carrier_links",
    metadata,
    sa.Column("carrier", sa.String(40), primary_key=True),
    # The process that has the link.
    sa.Column("node", sa.String(40), primary_key=True),
    sa.Column("at_us", _Time, nullable=False),
    # JSON of carriers.port.Snapshot.
    sa.Column("snapshot", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# Only of messages that went in several parts: the one part of the others is their row in messages.
message_parts = sa.Table(
    "message_parts",
    metadata,
    sa.Column("message_uuid", _Uuid, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("connector", sa.Text, nullable=False),
    # Null where the carrier has named none: the part was rejected, or nobody knows.
    sa.Column("carrier_ref", sa.Text, nullable=True),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("error_code", sa.String(8), nullable=True),
    sqlite_with_rowid=False,
)
sa.Index(
    "ix_message_parts_carrier_ref",
    message_parts.c.connector,
    message_parts.c.carrier_ref,
    sqlite_where=message_parts.c.carrier_ref.is_not(None),
    postgresql_where=message_parts.c.carrier_ref.is_not(None),
)

# When to look whether a receipt has come; only of messages whose route has a limit for that.
receipt_deadlines = sa.Table(
    "receipt_deadlines",
    metadata,
    sa.Column("message_uuid", _Uuid, primary_key=True),
    sa.Column("due_at_us", _Time, nullable=False, index=True),
    sqlite_with_rowid=False,
)
