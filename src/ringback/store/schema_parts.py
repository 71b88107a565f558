"""The table of parts of inbound messages, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

# Hot: until the others are there, or nobody waits for them any longer.
inbound_parts = sa.Table(
    "inbound_parts",
    metadata,
    sa.Column("connector", sa.String(32), primary_key=True),
    sa.Column("src", sa.String(65), primary_key=True),
    sa.Column("dst", sa.String(65), primary_key=True),
    sa.Column("reference", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("total", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("text", sa.Text, nullable=False),
    # When nobody waits for the others any longer.
    sa.Column("due_at_us", sa.BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)
