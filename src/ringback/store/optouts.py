"""Who wants no messages from which number: as it stands, how it came about, and what recipients are answered."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema import opt_out_history, opt_out_texts, opt_outs

Pair = tuple[str, str]
"""Our number, and the recipient."""


class OptOut(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient who wants no messages from a number."""

    number: str
    recipient: str
    account_id: str | None
    since_us: int


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the history."""

    number: str
    recipient: str
    account_id: str | None
    intent: str
    """``optout``, ``optin`` or ``help``."""
    said_by: str
    """``recipient`` or ``operator``."""
    message_uuid: str | None = None
    """The inbound message that said it."""
    confirmation_uuid: str | None = None
    """The message with which it was answered."""
    at_us: int


_OF_RECIPIENTS: Final = sa.select(opt_outs.c.number, opt_outs.c.recipient).where(
    opt_outs.c.recipient.in_(sa.bindparam("recipients", expanding=True))
)
_CONFIRMATIONS: Final = sa.select(opt_out_history.c.confirmation_uuid).where(
    opt_out_history.c.confirmation_uuid.in_(sa.bindparam("uuids", expanding=True))
)


def in_turn(tx: Transaction, pairs: Iterable[Pair]) -> None:
    """Wait until nobody else is changing what stands of any of ``pairs``."""
    one_at_a_time(tx, *(f"optout {number} {recipient}" for number, recipient in pairs))


def among(tx: Transaction, pairs: Iterable[Pair]) -> set[Pair]:
    """Return the pairs of which the recipient has opted out."""
    wanted = set(pairs)
    if not wanted:
        return set()
    rows = tx.execute(_OF_RECIPIENTS, {"recipients": sorted({recipient for _, recipient in wanted})})
    return wanted & {(row.number, row.recipient) for row in rows}


def confirmations(tx: Transaction, uuids: Sequence[str]) -> set[str]:
    """Return the messages among ``uuids`` that answer somebody's keyword: they go out whatever stands."""
    return set(tx.execute(_CONFIRMATIONS, {"uuids": list(uuids)}).scalars()) if uuids else set()


def note(tx: Transaction, said: Said) -> bool:
    """Record what was said, and let it stand; returns whether that changed anything. Take turns first."""
    tx.execute(opt_out_history.insert().values(msgspec.structs.asdict(said)))
    is_out = bool(among(tx, [(said.number, said.recipient)]))
    if said.intent == "optout" and not is_out:
        tx.execute(
            opt_outs.insert().values(
                recipient=said.recipient, number=said.number, account_id=said.account_id, since_us=said.at_us
            )
        )
        return True
    if said.intent == "optin" and is_out:
        tx.execute(opt_outs.delete().where(opt_outs.c.recipient == said.recipient, opt_outs.c.number == said.number))
        return True
    return False


def page(tx: Transaction, *, number: str | None = None, recipient: str | None = None, limit: int = 100) -> list[OptOut]:
    """Return opt-outs as they stand, by recipient and number."""
    query = sa.select(opt_outs).order_by(opt_outs.c.recipient, opt_outs.c.number).limit(limit)
    if number is not None:
        query = query.where(opt_outs.c.number == number)
    if recipient is not None:
        query = query.where(opt_outs.c.recipient == recipient)
    return [OptOut(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def history(tx: Transaction, number: str, recipient: str) -> list[Said]:
    """Return what was said about a pair, oldest first."""
    query = (
        sa.select(*(opt_out_history.c[name] for name in Said.__struct_fields__))
        .where(opt_out_history.c.recipient == recipient, opt_out_history.c.number == number)
        .order_by(opt_out_history.c.id)
    )
    return [Said(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001


def texts(tx: Transaction, account_id: str) -> dict[str, str]:
    """Return the texts of its own that an account answers keywords with, by intent."""
    query = sa.select(opt_out_texts.c.intent, opt_out_texts.c.text).where(opt_out_texts.c.account_id == account_id)
    return {row.intent: row.text for row in tx.execute(query)}


def set_texts(tx: Transaction, account_id: str, changes: Mapping[str, str | None]) -> None:
    """Give an account texts of its own, by intent; ``None`` goes back to those of the settings."""
    one_at_a_time(tx, f"opt-out texts {account_id}")
    for intent, text in changes.items():
        tx.execute(
            opt_out_texts.delete().where(opt_out_texts.c.account_id == account_id, opt_out_texts.c.intent == intent)
        )
        if text is not None:
            tx.execute(opt_out_texts.insert().values(account_id=account_id, intent=intent, text=text))
