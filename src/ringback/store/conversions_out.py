"""Conversions that are to be reported to providers, and what has become of them.

Those of one message are reported one after the other, as the last word on it stands. A row is due, leased while
somebody reports it, and stays when it is over, so that a second report of the same finds it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa

from ringback.store import bulk
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema_upstream import conversions_out

State = Literal["pending", "sent", "failed"]
STATES: Final = ("pending", "sent", "failed")


class NewConversion(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says about a message that a provider has sent for them."""

    source: str
    message_uuid: str
    value: str
    converted_at_us: int


class ConversionOut(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion with what has become of it."""

    id: int
    source: str
    message_uuid: str
    value: str
    converted_at_us: int
    recorded_at_us: int
    state: State
    attempts_made: int
    due_at_us: int | None
    """When it is tried next, or its lease ends; ``None`` once it is over, and while it waits for an earlier one."""
    lease_token: str | None
    tried_at_us: int | None
    http_status: int | None
    error: str | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt; without ``due_at_us`` it is over."""

    conversion: ConversionOut
    state: State
    attempts_made: int
    due_at_us: int | None
    tried_at_us: int
    http_status: int | None
    error: str | None


Taken = Literal["new", "again", "duplicate"]
"""``again``: it had failed, and is tried once more."""

_DUE: Final = (
    sa.select(conversions_out)
    .where(
        conversions_out.c.source == sa.bindparam("source"),
        conversions_out.c.due_at_us <= sa.bindparam("now_us", type_=sa.BigInteger),
    )
    .order_by(conversions_out.c.due_at_us, conversions_out.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_NEXT_DUE: Final = sa.select(sa.func.min(conversions_out.c.due_at_us)).where(
    conversions_out.c.source == sa.bindparam("source"), conversions_out.c.due_at_us.is_not(None)
)


def add(tx: Transaction, said: Sequence[NewConversion], *, now_us: int) -> list[Taken]:
    """Store conversions that are to be reported, each unless it is what the last one of its message says."""
    _alone(tx, [each.source for each in said])
    last = _last(tx, said)
    rows: list[dict[str, Any]] = []
    again: list[int] = []
    taken: list[Taken] = []
    for each in said:
        message = each.source, each.message_uuid
        id_, value, state = last.get(message, (None, "", ""))
        if value != each.value:
            # Behind one that waits it has no time of its own: that comes when the other is over.
            due_at_us = None if state == "pending" else now_us
            rows.append(
                msgspec.structs.asdict(each)
                | {"recorded_at_us": now_us, "state": "pending", "attempts_made": 0, "due_at_us": due_at_us}
            )
            last[message] = None, each.value, "pending"
            taken.append("new")
        elif state == "failed" and id_ is not None:
            again.append(id_)
            last[message] = id_, value, "pending"
            taken.append("again")
        else:
            taken.append("duplicate")
    bulk.insert(tx, conversions_out, rows)
    _revive(tx, again, now_us=now_us)
    return taken


def _alone(tx: Transaction, sources: Sequence[str]) -> None:
    """Keep others from adding behind one that is just ending, and from ending one that somebody adds behind."""
    one_at_a_time(tx, *(f"conversions to {source}" for source in sources))


def _last(
    tx: Transaction, said: Sequence[NewConversion | ConversionOut]
) -> dict[tuple[str, str], tuple[int | None, str, str]]:
    query = (
        sa.select(conversions_out)
        .where(
            conversions_out.c.source.in_({each.source for each in said}),
            conversions_out.c.message_uuid.in_({each.message_uuid for each in said}),
        )
        .order_by(conversions_out.c.id)
    )
    return {(row.source, row.message_uuid): (row.id, row.value, row.state) for row in tx.execute(query)}


def _revive(tx: Transaction, ids: Sequence[int], *, now_us: int) -> None:
    if ids:
        tx.execute(
            conversions_out.update()
            .where(conversions_out.c.id.in_(ids), conversions_out.c.state == "failed")
            .values(state="pending", attempts_made=0, due_at_us=now_us, lease_token=None)
        )


def retry_failed(tx: Transaction, *, source: str | None, message_uuid: str | None, now_us: int, limit: int) -> int:
    """Report up to ``limit`` failed ones once more, oldest first; returns how many.

    Those after which something else was said of their message are left: they would not be the last word any more.
    """
    failed = page(tx, source=source, message_uuid=message_uuid, state="failed", limit=limit)
    _alone(tx, [each.source for each in failed])
    last = {id_ for id_, _, _ in _last(tx, failed).values()}
    ids = [each.id for each in failed if each.id in last]
    _revive(tx, ids, now_us=now_us)
    return len(ids)


def claim(
    tx: Transaction, source: str, *, now_us: int, lease_until_us: int, lease_token: str, limit: int
) -> list[ConversionOut]:
    """Lease up to ``limit`` that are due."""
    found = tx.execute(_DUE, {"source": source, "now_us": now_us, "limit": limit})
    due = [ConversionOut(**row._mapping) for row in found]  # noqa: SLF001 - SQLAlchemy's public name
    if due:
        tx.execute(
            conversions_out.update()
            .where(conversions_out.c.id.in_([each.id for each in due]))
            .values(due_at_us=lease_until_us, lease_token=lease_token)
        )
    return [msgspec.structs.replace(each, due_at_us=lease_until_us, lease_token=lease_token) for each in due]


def next_due_at_us(tx: Transaction, source: str) -> int | None:
    """Return when the next of a source is due."""
    due: int | None = tx.execute(_NEXT_DUE, {"source": source}).scalar_one()
    return due


def record(tx: Transaction, verdicts: Sequence[Verdict]) -> int:
    """Store what came of attempts whose lease is still held; returns how many these were.

    With one that is over, the next of its message becomes due.
    """
    _alone(tx, [verdict.conversion.source for verdict in verdicts])
    recorded = 0
    for verdict in verdicts:
        values = {name: getattr(verdict, name) for name in Verdict.__struct_fields__ if name != "conversion"}
        held = tx.execute(
            conversions_out.update()
            .where(
                conversions_out.c.id == verdict.conversion.id,
                conversions_out.c.lease_token == verdict.conversion.lease_token,
            )
            .values(**values, lease_token=None)
        ).rowcount
        if held and verdict.state != "pending":
            _let_next_go(tx, verdict)
        recorded += held
    return recorded


def _let_next_go(tx: Transaction, verdict: Verdict) -> None:
    of = conversions_out.c
    waits = sa.select(sa.func.min(of.id)).where(
        of.source == verdict.conversion.source,
        of.message_uuid == verdict.conversion.message_uuid,
        of.state == "pending",
    )
    following = tx.execute(waits).scalar_one()
    if following is not None:
        tx.execute(conversions_out.update().where(of.id == following).values(due_at_us=verdict.tried_at_us))


def page(
    tx: Transaction,
    *,
    source: str | None = None,
    sources: Sequence[str] | None = None,
    message_uuid: str | None = None,
    state: str | None = None,
    after: int = 0,
    newest: bool = False,
    limit: int,
) -> list[ConversionOut]:
    """Return conversions after an id, oldest first, or the newest ones first."""
    of = conversions_out.c
    query = sa.select(conversions_out).where(of.id > after).order_by(of.id.desc() if newest else of.id).limit(limit)
    if sources is not None:
        query = query.where(of.source.in_(sources))
    for column, value in ((of.source, source), (of.message_uuid, message_uuid), (of.state, state)):
        if value is not None:
            query = query.where(column == value)
    return [ConversionOut(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001


def standing(tx: Transaction, message_uuids: Sequence[str]) -> dict[tuple[str, str], ConversionOut]:
    """Return the last word on each message, by source and message."""
    query = (
        sa.select(conversions_out)
        .where(conversions_out.c.message_uuid.in_(message_uuids))
        .order_by(conversions_out.c.id)
    )
    found = [ConversionOut(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001
    return {(each.source, each.message_uuid): each for each in found}


def totals(tx: Transaction) -> dict[str, Counter[str]]:
    """Count conversions by source and state."""
    found: dict[str, Counter[str]] = {}
    query = sa.select(conversions_out.c.source, conversions_out.c.state, sa.func.count()).group_by(
        conversions_out.c.source, conversions_out.c.state
    )
    for source, state, total in tx.execute(query):
        found.setdefault(source, Counter())[state] = total
    return found


def prune(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Remove up to ``limit`` that are over and were reported before ``before_us``; returns how many."""
    ids: list[int] = []
    for state in ("sent", "failed"):
        # Ids go up with time: where the oldest are too young, so are the others.
        oldest = (
            sa.select(conversions_out.c.id, conversions_out.c.recorded_at_us)
            .where(conversions_out.c.state == state)
            .order_by(conversions_out.c.id)
            .limit(limit - len(ids))
        )
        ids += [row.id for row in tx.execute(oldest) if row.recorded_at_us < before_us]
    return tx.execute(conversions_out.delete().where(conversions_out.c.id.in_(ids))).rowcount if ids else 0
