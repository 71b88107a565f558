"""Tables of credit, prices and the numbers that accounts may send to, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

_Uuid = sa.String(36)
_AuthId = sa.String(20)
_Time = sa.BigInteger

balances = sa.Table(
    "balances",
    metadata,
    sa.Column("account_id", _AuthId, primary_key=True),
    sa.Column("balance", sa.BigInteger, nullable=False),
    # New messages are refused until then, because it ran out.
    sa.Column("refused_until_us", _Time, nullable=True),
    sqlite_with_rowid=False,
)

# What a balance is made of: the totals of an account's entries add up to it.
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("account_id", _AuthId, primary_key=True),
    # When it was added by hand; of charges, the hour that they fell into.
    sa.Column("at_us", _Time, primary_key=True),
    # credit or charge.
    sa.Column("kind", sa.String(8), primary_key=True),
    # A credit's own id; of charges, who sent: the account or one of its subaccounts.
    sa.Column("reference", sa.String(36), primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("note", sa.Text, nullable=True),
    sqlite_with_rowid=False,
)

prices = sa.Table(
    "prices",
    metadata,
    sa.Column("country", sa.String(2), primary_key=True),
    # Empty for the country as a whole, else the name of a group of networks.
    sa.Column("network_group", sa.Text, primary_key=True),
    # Its networks: MCC and MNC as 310-260, with spaces between.
    sa.Column("networks", sa.Text, nullable=False),
    # Decimal text, null where the file says nothing.
    sa.Column("sms_outbound", sa.String(16), nullable=True),
    sa.Column("sms_inbound", sa.String(16), nullable=True),
    sa.Column("mms_outbound", sa.String(16), nullable=True),
    sa.Column("mms_inbound", sa.String(16), nullable=True),
    sa.Column("sms_carrier_fee", sa.String(16), nullable=True),
    sa.Column("mms_carrier_fee", sa.String(16), nullable=True),
    sa.Column("local_rent", sa.String(16), nullable=True),
    sa.Column("tollfree_rent", sa.String(16), nullable=True),
    sa.Column("mobile_rent", sa.String(16), nullable=True),
    sqlite_with_rowid=False,
)

sandbox_numbers = sa.Table(
    "sandbox_numbers",
    metadata,
    sa.Column("account_id", _AuthId, primary_key=True),
    sa.Column("number", sa.String(14), primary_key=True),
    sa.Column("created_at_us", _Time, nullable=False),
    sqlite_with_rowid=False,
)

caller_ids = sa.Table(
    "caller_ids",
    metadata,
    sa.Column("account_id", _AuthId, primary_key=True),
    sa.Column("number", sa.String(14), primary_key=True),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column("country", sa.String(2), nullable=False),
    # Empty, or the subaccount that it is meant for.
    sa.Column("subaccount", _AuthId, nullable=False),
    sa.Column("verification_uuid", _Uuid, nullable=False),
    sa.Column("created_at_us", _Time, nullable=False),
    sa.Column("modified_at_us", _Time, nullable=False),
    sqlite_with_rowid=False,
)

# Codes that were sent to numbers and not entered yet.
verifications = sa.Table(
    "verifications",
    metadata,
    sa.Column("uuid", _Uuid, primary_key=True),
    sa.Column("account_id", _AuthId, nullable=False),
    sa.Column("number", sa.String(14), nullable=False),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column("country", sa.String(2), nullable=False),
    sa.Column("subaccount", _AuthId, nullable=False),
    sa.Column("code_hash", sa.String(64), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("expires_at_us", _Time, nullable=False, index=True),
    sqlite_with_rowid=False,
)
sa.Index("ix_verifications_number", verifications.c.account_id, verifications.c.number)
