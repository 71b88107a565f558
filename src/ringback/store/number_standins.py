"""Stands in for the numbers of accounts and their applications until there are such: who owns a number."""

import msgspec
import sqlalchemy as sa

from ringback.store.port import Transaction
from ringback.store.schema import number_standins


class OwnedNumber(msgspec.Struct, frozen=True, kw_only=True):
    """A number, whose it is, and where messages to it go."""

    number: str
    account_id: str
    app_id: str | None = None
    message_url: str | None = None
    message_method: str = "POST"
    log_incoming_messages: bool = True
    powerpack_uuid: str | None = None
    sms_enabled: bool = True
    mms_enabled: bool = True


def owner(tx: Transaction, number: str) -> OwnedNumber | None:
    """Return a number that somebody owns."""
    row = tx.execute(sa.select(number_standins).where(number_standins.c.number == number)).one_or_none()
    return OwnedNumber(**row._mapping) if row else None  # noqa: SLF001 - SQLAlchemy's public name


def put(tx: Transaction, owned: OwnedNumber) -> None:
    """Give a number to an account, instead of whoever had it."""
    tx.execute(number_standins.delete().where(number_standins.c.number == owned.number))
    names = number_standins.c.keys()
    tx.execute(number_standins.insert().values({name: getattr(owned, name) for name in names}))
