"""Parts of inbound messages that wait for the others, whichever process, bind or day they came by."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema_parts import inbound_parts


class Text(msgspec.Struct, frozen=True, order=True):
    """Which text a part is of."""

    connector: str
    src: str
    dst: str
    reference: int
    total: int


_NEXT_DUE: Final = sa.select(sa.func.min(inbound_parts.c.due_at_us))


def in_turn(tx: Transaction, texts: Iterable[Text]) -> None:
    """Keep others from adding to the same texts until the end of the transaction: one of them has the last part."""
    for text in sorted(set(texts)):
        one_at_a_time(tx, f"part of {text.connector} {text.src} {text.dst} {text.reference} {text.total}")


def add(tx: Transaction, text: Text, number: int, says: str, *, due_at_us: int) -> str | None:
    """Keep a part; returns the whole text when it was the last one that was missing. One that is there stays as it is.

    Call ``in_turn`` before.
    """
    known = {row.number: row.text for row in tx.execute(_of(text))}
    if number not in known:
        known[number] = says
        tx.execute(
            inbound_parts.insert().values(**msgspec.structs.asdict(text), number=number, text=says, due_at_us=due_at_us)
        )
    return take(tx, text) if len(known) == text.total else None


def take(tx: Transaction, text: Text) -> str | None:
    """Return what has come of a text, and forget it; ``None`` when nothing is there."""
    rows = tx.execute(_of(text)).all()
    if not rows:
        return None
    tx.execute(inbound_parts.delete().where(*_is(text)))
    return "".join(row.text for row in rows)


def overdue(tx: Transaction, now_us: int, limit: int) -> Sequence[Text]:
    """Return texts of which nobody waits for the rest any longer."""
    columns = [inbound_parts.c[name] for name in Text.__struct_fields__]
    query = sa.select(*columns).where(inbound_parts.c.due_at_us <= now_us).distinct().limit(limit)
    return [Text(*row) for row in tx.execute(query)]


def next_due_at_us(tx: Transaction) -> int | None:
    """Return when the next text is overdue."""
    due: int | None = tx.execute(_NEXT_DUE).scalar_one()
    return due


def _of(text: Text) -> sa.Select[tuple[int, str]]:
    return sa.select(inbound_parts.c.number, inbound_parts.c.text).where(*_is(text)).order_by(inbound_parts.c.number)


def _is(text: Text) -> list[sa.ColumnElement[bool]]:
    return [inbound_parts.c[name] == value for name, value in msgspec.structs.asdict(text).items()]
