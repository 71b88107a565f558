"""Tables by which received events are read one after the other and handed on, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

_Uuid = sa.String(36)

received_log = sa.Table(
    "received_log",
    metadata,
    # The place of an event in the order of commits: readers go on from the last that they have seen.
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("request_id", _Uuid, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    # Places are never given twice, not even once all rows have been removed.
    sqlite_autoincrement=True,
)

received_forwards = sa.Table(
    "received_forwards",
    metadata,
    # The callback that hands a request on.
    sa.Column("callback_id", _Uuid, primary_key=True),
    sa.Column("request_id", _Uuid, nullable=False, index=True),
    sqlite_with_rowid=False,
)
