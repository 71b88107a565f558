"""What was made of the XML with which applications answered inbound messages."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from ringback.store.port import Transaction
from ringback.store.schema import xml_replies


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one element of the answer."""

    element: str
    state: str
    """``accepted``, ``refused`` (it cannot be sent) or ``ignored`` (it is not executed)."""
    detail: str = ""
    message_uuids: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    """Destinations that are none."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of one answer."""

    callback_id: str
    message_uuid: str
    """The inbound message."""
    at_us: int
    state: str
    """``executed``; ``repeated``: an earlier answer about the message was executed, this one was not; or
    ``malformed``."""
    detail: str | None
    parts: tuple[Part, ...]


_decode = msgspec.json.Decoder(tuple[Part, ...]).decode
_encode = msgspec.json.Encoder().encode


def add(tx: Transaction, reply: Reply) -> None:
    """Store what was made of an answer; of one callback only once."""
    values = msgspec.structs.asdict(reply) | {"parts": _encode(reply.parts).decode()}
    tx.execute(xml_replies.insert().values(values))


def of_message(tx: Transaction, message_uuid: str) -> list[Reply]:
    """Return what was made of the answers about an inbound message, oldest first."""
    oldest_first = (xml_replies.c.at_us, xml_replies.c.callback_id)
    query = sa.select(xml_replies).where(xml_replies.c.message_uuid == message_uuid).order_by(*oldest_first)
    return [_reply(row) for row in tx.execute(query)]


def of_callbacks(tx: Transaction, ids: Sequence[str]) -> dict[str, Reply]:
    """Return what was made of the answers to callbacks, by the callback's id."""
    query = sa.select(xml_replies).where(xml_replies.c.callback_id.in_(list(ids)))
    return {row.callback_id: _reply(row) for row in tx.execute(query)}


def is_executed(tx: Transaction, message_uuid: str) -> bool:
    """Say whether an answer about an inbound message has been executed."""
    query = sa.select(xml_replies.c.callback_id).where(
        xml_replies.c.message_uuid == message_uuid, xml_replies.c.state == "executed"
    )
    return tx.execute(query).first() is not None


def _reply(row: sa.Row[tuple[object, ...]]) -> Reply:
    kept = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return Reply(**kept | {"parts": _decode(kept["parts"])})
