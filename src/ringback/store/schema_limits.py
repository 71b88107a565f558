"""Tables of limits and of what counts against them, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

_AuthId = sa.String(20)
_Time = sa.BigInteger

account_limits = sa.Table(
    "account_limits",
    metadata,
    # Whose they are; "all" for those of the installation, which every account has besides its own.
    sa.Column("account_id", _AuthId, primary_key=True),
    # Null where the main account's, then the settings' apply; 0 for no limit.
    sa.Column("requests_per_5_s", sa.Integer, nullable=True),
    sa.Column("lists_per_minute", sa.Integer, nullable=True),
    sa.Column("concurrent_requests", sa.Integer, nullable=True),
    sa.Column("messages_per_s", sa.Double, nullable=True),
    sa.Column("mms_per_s", sa.Double, nullable=True),
    sa.Column("source_messages_per_s", sa.Double, nullable=True),
    sa.Column("source_mms_per_s", sa.Double, nullable=True),
    # Countries, as capital letters with commas between; null for no such list.
    sa.Column("countries_allowed", sa.Text, nullable=True),
    sa.Column("countries_blocked", sa.Text, nullable=True),
    # JSON: messages an hour by country, "*" for those not named.
    sa.Column("thresholds", sa.Text, nullable=True),
    sa.Column("alert_url", sa.Text, nullable=True),
    sqlite_with_rowid=False,
)

# The next time at which a limited account or sender may send (model.pace).
pacing = sa.Table(
    "pacing",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("next_free_at_us", _Time, nullable=False),
    # JSON pairs: times before it that nobody has taken.
    sa.Column("gaps", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

country_counts = sa.Table(
    "country_counts",
    metadata,
    sa.Column("hour_at_us", _Time, primary_key=True),
    sa.Column("account_id", _AuthId, primary_key=True),
    sa.Column("country", sa.String(2), primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
    # Whether the breach of this hour has been told.
    sa.Column("alerted", sa.Boolean, nullable=False),
    sqlite_with_rowid=False,
)
