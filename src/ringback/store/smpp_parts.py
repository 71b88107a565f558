"""Parts of texts that customers submit, until the others are there, whichever process, bind or day they come by."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema_smpp import smpp_parts


class Text(msgspec.Struct, frozen=True, order=True):
    """Which text a part is of."""

    login_id: str
    src: str
    dst: str
    reference: int
    total: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A part that is there."""

    number: int
    message_uuid: str
    """Of the message that they become: the same for all parts of a text."""
    account_id: str
    text: str
    registered_delivery: int
    came_at_us: int
    due_at_us: int


_NEXT_DUE: Final = sa.select(sa.func.min(smpp_parts.c.due_at_us))


def in_turn(tx: Transaction, texts: Iterable[Text]) -> None:
    """Keep others from adding to the same texts until the end of the transaction: one of them has the last part."""
    for text in sorted(set(texts)):
        one_at_a_time(tx, f"smpp part of {text.login_id} {text.src} {text.dst} {text.reference} {text.total}")


def of(tx: Transaction, text: Text) -> list[Kept]:
    """Return what there is of a text, in order. Call ``in_turn`` before."""
    columns = [smpp_parts.c[name] for name in Kept.__struct_fields__]
    rows = tx.execute(sa.select(*columns).where(*_is(text)).order_by(smpp_parts.c.number))
    return [Kept(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def add(tx: Transaction, text: Text, part: Kept) -> None:
    """Keep a part that is not there."""
    tx.execute(smpp_parts.insert().values(msgspec.structs.asdict(text) | msgspec.structs.asdict(part)))


def forget(tx: Transaction, text: Text) -> None:
    """Remove all parts of a text."""
    tx.execute(smpp_parts.delete().where(*_is(text)))


def overdue(tx: Transaction, now_us: int, limit: int) -> Sequence[Text]:
    """Return texts of which nobody waits for the rest any longer."""
    columns = [smpp_parts.c[name] for name in Text.__struct_fields__]
    query = sa.select(*columns).where(smpp_parts.c.due_at_us <= now_us).distinct().limit(limit)
    return [Text(*row) for row in tx.execute(query)]


def next_due_at_us(tx: Transaction) -> int | None:
    """Return when the next text is overdue."""
    due: int | None = tx.execute(_NEXT_DUE).scalar_one()
    return due


def is_waiting(tx: Transaction, account_id: str, message_uuid: str) -> bool:
    """Say whether an account's message is one that waits for parts."""
    query = sa.select(smpp_parts.c.number).where(
        smpp_parts.c.message_uuid == message_uuid, smpp_parts.c.account_id == account_id
    )
    return tx.execute(query.limit(1)).first() is not None


def _is(text: Text) -> list[sa.ColumnElement[bool]]:
    return [smpp_parts.c[name] == value for name, value in msgspec.structs.asdict(text).items()]
