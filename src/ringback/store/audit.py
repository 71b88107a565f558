"""What was done, by whom, from where and with what outcome: a log that is only added to, and let go of when it is old.

Entries name things by their ids and names. Secrets, texts of messages and numbers of phones are never in one.
"""

from typing import Literal

import msgspec
import sqlalchemy as sa

from ringback.store.port import Transaction
from ringback.store.schema_access import audit_log

ActorKind = Literal["user", "link", "command", "api", "nobody"]
Outcome = Literal["done", "refused", "failed"]


class Actor(msgspec.Struct, frozen=True):
    """Who does something."""

    name: str
    kind: ActorKind
    account_id: str | None = None
    """Of an account's people: whose. Its users see the entry too."""
    address: str = ""
    """From where; empty on the machine itself."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log."""

    id: int
    at_us: int
    actor: str
    actor_kind: str
    account_id: str | None
    action: str
    target: str
    address: str
    outcome: str


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; ``None`` takes all."""

    account_id: str | None = None
    actor: str | None = None
    action: str | None = None
    """The whole of it, or its first word."""
    outcome: str | None = None
    since_us: int | None = None
    """Inclusive."""


def note(
    tx: Transaction, actor: Actor, action: str, target: str = "", *, now_us: int, outcome: Outcome = "done"
) -> None:
    """Add an entry, in the transaction of what it tells where there is one. Names that are too long are cut."""
    tx.execute(
        audit_log.insert().values(
            at_us=now_us,
            actor=actor.name[:64],
            actor_kind=actor.kind,
            account_id=actor.account_id,
            action=action,
            target=target.replace("\x00", "")[:200],
            address=actor.address[:64],
            outcome=outcome,
        )
    )


def page(tx: Transaction, wanted: Filter, *, before: int | None = None, limit: int) -> list[Entry]:
    """Return entries newest first, older than the id ``before``."""
    query = sa.select(audit_log).where(*_conditions(wanted)).order_by(audit_log.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit_log.c.id < before)
    return [Entry(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def prune(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Remove the oldest entries from before a time; returns how many."""
    old = sa.select(audit_log.c.id).where(audit_log.c.at_us < before_us).order_by(audit_log.c.at_us).limit(limit)
    return tx.execute(audit_log.delete().where(audit_log.c.id.in_(old))).rowcount


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [
        audit_log.c[name] == value
        for name in ("account_id", "actor", "outcome")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.action is not None:
        first = audit_log.c.action.startswith(f"{wanted.action} ", autoescape=True)
        conditions.append(sa.or_(audit_log.c.action == wanted.action, first))
    if wanted.since_us is not None:
        conditions.append(audit_log.c.at_us >= wanted.since_us)
    return conditions
