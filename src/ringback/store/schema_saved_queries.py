"""Table of questions in SQL that somebody keeps, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

saved_queries = sa.Table(
    "saved_queries",
    metadata,
    # Whose they are: an account's, or "" for the operators'.
    sa.Column("account_id", sa.String(20), primary_key=True),
    sa.Column("name", sa.String(60), primary_key=True),
    sa.Column("sql", sa.Text, nullable=False),
    # Who saved it last, as people read it.
    sa.Column("saved_by", sa.Text, nullable=False),
    sa.Column("saved_at_us", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
