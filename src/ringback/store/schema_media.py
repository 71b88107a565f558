"""Tables of media, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

_Uuid = sa.String(36)
_AuthId = sa.String(20)
_Time = sa.BigInteger

# Each row is a file of the same id under the media directory (store.media_files).
media = sa.Table(
    "media",
    metadata,
    sa.Column("id", _Uuid, primary_key=True),
    sa.Column("account_id", _AuthId, nullable=False),
    # upload, or fetch: from a URL that came with a message.
    sa.Column("source", sa.String(8), nullable=False),
    sa.Column("content_type", sa.String(127), nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("created_at_us", _Time, nullable=False),
    # Null for ever.
    sa.Column("expires_at_us", _Time, nullable=True),
    sqlite_with_rowid=False,
)
sa.Index("ix_media_account_id", media.c.account_id, media.c.id)
sa.Index(
    "ix_media_expires_at_us",
    media.c.expires_at_us,
    sqlite_where=media.c.expires_at_us.is_not(None),
    postgresql_where=media.c.expires_at_us.is_not(None),
)

# Which media a message has; one that is still to be fetched has its id already, and no row in media.
message_media = sa.Table(
    "message_media",
    metadata,
    sa.Column("message_uuid", _Uuid, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("media_id", _Uuid, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# Media that are to be fetched before the messages of one request can be handed over.
media_fetches = sa.Table(
    "media_fetches",
    metadata,
    sa.Column("id", _Uuid, primary_key=True),
    sa.Column("account_id", _AuthId, nullable=False),
    # JSON of store.fetches.Wanted, and a JSON list of uuids.
    sa.Column("wanted", sa.Text, nullable=False),
    sa.Column("message_uuids", sa.Text, nullable=False),
    # JSON: when those of them may go that are limited; null where none is.
    sa.Column("slots", sa.Text, nullable=True),
    # What the messages' media from elsewhere weigh already.
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("attempts_made", sa.Integer, nullable=False),
    sa.Column("due_at_us", _Time, nullable=False, index=True),
    sa.Column("lease_token", _Uuid, nullable=True),
    sqlite_with_rowid=False,
)
