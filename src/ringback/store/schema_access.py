"""Tables of who may see the dashboard and what was done there, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

_Uuid = sa.String(36)
_AuthId = sa.String(20)
_Time = sa.BigInteger

users = sa.Table(
    "users",
    metadata,
    # A user who is removed and one of the same name who is added later are not the same.
    sa.Column("id", _Uuid, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    # operator or account; of an account: whose.
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("account_id", _AuthId, nullable=True, index=True),
    # As model.passwords has it; none until the user sets one.
    sa.Column("password_hash", sa.Text, nullable=True),
    sa.Column("created_at_us", _Time, nullable=False),
    sa.Column("last_login_at_us", _Time, nullable=True),
    sa.Column("disabled_at_us", _Time, nullable=True),
    sqlite_with_rowid=False,
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("secret_hash", sa.String(64), primary_key=True),
    # What lists of sessions call it.
    sa.Column("id", _Uuid, nullable=False, unique=True),
    # None of a link that names no user: then the account says whose it is, and no account that it is an operator's.
    sa.Column("user_id", _Uuid, nullable=True, index=True),
    sa.Column("account_id", _AuthId, nullable=True),
    # link or password.
    sa.Column("opened_by", sa.String(8), nullable=False),
    sa.Column("created_at_us", _Time, nullable=False),
    sa.Column("seen_at_us", _Time, nullable=False),
    sa.Column("expires_at_us", _Time, nullable=False, index=True),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("browser", sa.String(200), nullable=False),
    sqlite_with_rowid=False,
)

# Append-only: rows are added, and removed when they are old.
audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at_us", _Time, nullable=False, index=True),
    sa.Column("actor", sa.String(64), nullable=False),
    # user, link, command, api or nobody.
    sa.Column("actor_kind", sa.String(8), nullable=False),
    # Whose users see it besides operators.
    sa.Column("account_id", _AuthId, nullable=True),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("target", sa.String(200), nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    # done, refused or failed.
    sa.Column("outcome", sa.String(8), nullable=False),
)
sa.Index("ix_audit_log_account_id_id", audit_log.c.account_id, audit_log.c.id)
