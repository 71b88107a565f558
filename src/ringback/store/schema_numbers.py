"""Tables of applications, numbers and powerpacks, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

_Uuid = sa.String(36)
_AuthId = sa.String(20)
_Time = sa.BigInteger

applications = sa.Table(
    "applications",
    metadata,
    sa.Column("app_id", sa.String(17), primary_key=True),
    # Here and below: the main account, and the subaccount of it that this is for.
    sa.Column("account_id", _AuthId, nullable=False),
    sa.Column("subaccount_id", _AuthId, nullable=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("answer_url", sa.Text, nullable=False),
    sa.Column("answer_method", sa.String(4), nullable=False),
    sa.Column("hangup_url", sa.Text, nullable=False),
    sa.Column("hangup_method", sa.String(4), nullable=False),
    sa.Column("fallback_answer_url", sa.Text, nullable=False),
    sa.Column("fallback_method", sa.String(4), nullable=False),
    sa.Column("message_url", sa.Text, nullable=False),
    sa.Column("message_method", sa.String(4), nullable=False),
    sa.Column("is_default_number_app", sa.Boolean, nullable=False),
    sa.Column("is_default_endpoint_app", sa.Boolean, nullable=False),
    sa.Column("is_public_uri", sa.Boolean, nullable=False),
    sa.Column("log_incoming_messages", sa.Boolean, nullable=False),
    sa.Column("retry_delays", sa.Text, nullable=True),
    sa.Column("created_at_us", _Time, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("ix_applications_account_id", applications.c.account_id, applications.c.created_at_us)

powerpacks = sa.Table(
    "powerpacks",
    metadata,
    # Also the id of its number pool.
    sa.Column("uuid", _Uuid, primary_key=True),
    sa.Column("account_id", _AuthId, nullable=False),
    sa.Column("subaccount_id", _AuthId, nullable=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sticky_sender", sa.Boolean, nullable=False),
    sa.Column("local_connect", sa.Boolean, nullable=False),
    sa.Column("app_id", sa.String(17), nullable=True),
    # JSON of model.powerpack.Priority.
    sa.Column("priorities", sa.Text, nullable=False),
    sa.Column("created_at_us", _Time, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("ix_powerpacks_account_id", powerpacks.c.account_id, powerpacks.c.created_at_us)

numbers = sa.Table(
    "numbers",
    metadata,
    sa.Column("number", sa.String(15), primary_key=True),
    sa.Column("country", sa.String(2), nullable=False),
    sa.Column("type", sa.String(10), nullable=False),
    sa.Column("area_code", sa.String(8), nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("city", sa.Text, nullable=False),
    sa.Column("rate_center", sa.Text, nullable=False),
    sa.Column("lata", sa.Integer, nullable=True),
    sa.Column("carrier", sa.Text, nullable=False),
    sa.Column("is_own", sa.Boolean, nullable=False),
    sa.Column("sms_enabled", sa.Boolean, nullable=False),
    sa.Column("mms_enabled", sa.Boolean, nullable=False),
    sa.Column("voice_enabled", sa.Boolean, nullable=False),
    sa.Column("setup_rate", sa.String(16), nullable=False),
    sa.Column("monthly_rate", sa.String(16), nullable=False),
    sa.Column("sms_rate", sa.String(16), nullable=False),
    sa.Column("mms_rate", sa.String(16), nullable=False),
    sa.Column("voice_rate", sa.String(16), nullable=False),
    # Null while it is for rent, and with it everything below.
    sa.Column("account_id", _AuthId, nullable=True),
    sa.Column("subaccount_id", _AuthId, nullable=True),
    sa.Column("app_id", sa.String(17), nullable=True),
    sa.Column("alias", sa.Text, nullable=True),
    sa.Column("cnam_lookup", sa.String(8), nullable=True),
    sa.Column("cnam", sa.Text, nullable=True),
    sa.Column("compliance_application_id", sa.Text, nullable=True),
    sa.Column("profile_uuid", sa.Text, nullable=True),
    sa.Column("added_at_us", _Time, nullable=True),
    # The powerpack whose pool it is in, and its part there.
    sa.Column("powerpack_uuid", _Uuid, nullable=True),
    sa.Column("pool_service", sa.String(3), nullable=True),
    sa.Column("pool_load", sa.BigInteger, nullable=True),
    sa.Column("pooled_at_us", _Time, nullable=True),
    sqlite_with_rowid=False,
)
sa.Index("ix_numbers_account_id", numbers.c.account_id, numbers.c.number)
sa.Index(
    "ix_numbers_for_rent",
    numbers.c.country,
    numbers.c.number,
    sqlite_where=numbers.c.account_id.is_(None),
    postgresql_where=numbers.c.account_id.is_(None),
)
sa.Index(
    "ix_numbers_app_id",
    numbers.c.app_id,
    sqlite_where=numbers.c.app_id.is_not(None),
    postgresql_where=numbers.c.app_id.is_not(None),
)
sa.Index(
    "ix_numbers_powerpack_uuid",
    numbers.c.powerpack_uuid,
    numbers.c.number,
    sqlite_where=numbers.c.powerpack_uuid.is_not(None),
    postgresql_where=numbers.c.powerpack_uuid.is_not(None),
)

sticky_senders = sa.Table(
    "sticky_senders",
    metadata,
    sa.Column("powerpack_uuid", _Uuid, primary_key=True),
    sa.Column("recipient", sa.String(15), primary_key=True),
    sa.Column("number", sa.String(15), nullable=False),
    # When it was last chosen, to the day.
    sa.Column("used_at_us", _Time, nullable=False, index=True),
    sqlite_with_rowid=False,
)
