"""Messages that are still to be handed to a carrier, and receipts that came before their submission's answer."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.store import bulk
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema import early_receipts, submissions


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A message due to be submitted, leased under ``lease_token``."""

    message_uuid: str
    account_id: str
    src: str
    dst: str
    text: str
    attempts_made: int
    expires_at_us: int
    lease_token: str
    media: str | None = None
    """A JSON list of the ids of its media; ``None`` for a text message."""
    price: int | None = None
    """What its account pays when it is handed over; ``None`` for one without a limit."""
    verdict: str | None = None
    """What a check said of it at an earlier turn."""
    route: str | None = None
    tried: str | None = None
    """JSON of the routes that did not take it."""
    unknowns: int = 0
    """How often it was handed over without anybody knowing whether it arrived."""
    was_leased: bool = False
    """Whoever had it before did not say what became of it: it may have been handed over."""


class EarlyReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt for a message whose carrier id is not known yet."""

    id: int
    connector: str
    carrier_ref: str
    status: str
    error_code: str | None
    at_us: int
    detail: str | None


# Statements that run all the time are built once: building one costs more than running it.

_UUIDS: Final[sa.BindParameter[str]] = sa.bindparam("uuids", expanding=True)
_LANE: Final[sa.BindParameter[str]] = sa.bindparam("lane")
_DUE: Final = (
    sa.select(submissions)
    .where(submissions.c.carrier == _LANE, submissions.c.due_at_us <= sa.bindparam("now_us"))
    .order_by(submissions.c.due_at_us)
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_NEXT_DUE: Final = sa.select(sa.func.min(submissions.c.due_at_us))
_NEXT_DUE_IN_LANE: Final = _NEXT_DUE.where(submissions.c.carrier == _LANE)
_NEXT_LANE: Final = sa.select(sa.func.min(submissions.c.carrier)).where(submissions.c.carrier > _LANE)
_LEASE: Final = (
    submissions.update()
    .where(submissions.c.message_uuid.in_(_UUIDS))
    .values(
        due_at_us=sa.bindparam("until_us"),
        lease_token=sa.bindparam("token"),
        carrier=_LANE,
        route=sa.bindparam("new_route", type_=sa.Text),
    )
)
_MOVE: Final = (
    submissions.update()
    .where(submissions.c.message_uuid.in_(_UUIDS))
    .values(carrier=_LANE, route=sa.bindparam("new_route", type_=sa.Text))
)
_PARKED: Final = (
    sa.select(submissions.c.message_uuid)
    .where(
        submissions.c.carrier == _LANE,
        submissions.c.due_at_us > sa.bindparam("now_us"),
        submissions.c.lease_token.is_(None),
    )
    .order_by(submissions.c.due_at_us)
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_UNPARK: Final = (
    submissions.update().where(submissions.c.message_uuid.in_(_UUIDS)).values(due_at_us=sa.bindparam("now_us"))
)
_LEASE_TOKENS: Final = (
    sa.select(submissions.c.message_uuid, submissions.c.lease_token)
    .where(submissions.c.message_uuid.in_(_UUIDS))
    .order_by(submissions.c.message_uuid)
    .with_for_update()
)
_FINISH: Final = submissions.delete().where(submissions.c.message_uuid.in_(_UUIDS))
_EARLY: Final = (
    sa.select(early_receipts)
    .where(
        early_receipts.c.connector == sa.bindparam("connector"),
        early_receipts.c.carrier_ref.in_(sa.bindparam("refs", expanding=True)),
    )
    .order_by(early_receipts.c.id)
)


def add(tx: Transaction, rows: Sequence[bulk.Row]) -> None:
    """Store new submissions."""
    bulk.insert(tx, submissions, rows)


UNROUTED: Final = ""
"""The lane of what has no route yet."""


def due(tx: Transaction, *, lane: str, now_us: int, limit: int) -> list[Submission]:
    """Return up to ``limit`` submissions of a lane that are due, those due longest first, locked and not leased yet."""
    rows = tx.execute(_DUE, {"lane": lane, "now_us": now_us, "limit": limit}).all()
    return [
        Submission(
            message_uuid=row.message_uuid,
            account_id=row.account_id,
            src=row.src,
            dst=row.dst,
            text=row.text,
            attempts_made=row.attempts_made,
            expires_at_us=row.expires_at_us,
            lease_token="",
            media=row.media,
            price=row.price,
            verdict=row.verdict,
            route=row.route,
            tried=row.tried,
            unknowns=row.unknowns,
            was_leased=row.lease_token is not None,
        )
        for row in rows
    ]


def lease(
    tx: Transaction, found: Sequence[Submission], *, lane: str, route: str | None, token: str, until_us: int
) -> list[Submission]:
    """Lease submissions that :func:`due` has returned, all by one route; returns them as they are now."""
    if not found:
        return []
    uuids = [each.message_uuid for each in found]
    tx.execute(_LEASE, {"uuids": uuids, "until_us": until_us, "token": token, "lane": lane, "new_route": route})
    return [msgspec.structs.replace(each, lease_token=token, route=route) for each in found]


def move(tx: Transaction, found: Sequence[Submission], *, lane: str, route: str | None) -> None:
    """Let submissions that :func:`due` has returned wait in another lane."""
    if found:
        tx.execute(_MOVE, {"uuids": [each.message_uuid for each in found], "lane": lane, "new_route": route})


def unpark(tx: Transaction, *, lane: str, now_us: int, limit: int) -> int:
    """Make up to ``limit`` submissions of a lane due now that nobody has and that wait for later; returns how many."""
    uuids = list(tx.execute(_PARKED, {"lane": lane, "now_us": now_us, "limit": limit}).scalars())
    if uuids:
        tx.execute(_UNPARK, {"uuids": uuids, "now_us": now_us})
    return len(uuids)


def lanes(tx: Transaction) -> list[str]:
    """Return the lanes of carriers that anything waits in; each costs one look into the index."""
    found = [UNROUTED]
    while (lane := tx.execute(_NEXT_LANE, {"lane": found[-1]}).scalar_one()) is not None:
        found.append(lane)
    return found[1:]


def claim(
    tx: Transaction, *, now_us: int, lease_until_us: int, lease_token: str, limit: int, lane: str = UNROUTED
) -> list[Submission]:
    """Lease up to ``limit`` submissions of a lane that are due, those due longest first, by no route in particular."""
    found = due(tx, lane=lane, now_us=now_us, limit=limit)
    return lease(tx, found, lane=lane, route=None, token=lease_token, until_us=lease_until_us)


def held(tx: Transaction, leased: Sequence[Submission]) -> list[bool]:
    """Say of each submission whether its lease is still the given one; a worker that lost its lease changes nothing."""
    rows = tx.execute(_LEASE_TOKENS, {"uuids": [submission.message_uuid for submission in leased]})
    tokens = {row.message_uuid: row.lease_token for row in rows}
    return [tokens.get(each.message_uuid) == each.lease_token for each in leased]


def finish(tx: Transaction, uuids: Sequence[str]) -> None:
    """Remove submissions that need nothing more."""
    if not uuids:
        return
    tx.execute(_FINISH, {"uuids": list(uuids)})


def put_back(tx: Transaction, rows: Sequence[bulk.Row]) -> None:
    """Give up leases: each row has ``message_uuid`` and what changes, all of them the same columns."""
    bulk.update(tx, submissions, [{**row, "lease_token": None} for row in rows], key="message_uuid")


def note_verdicts(tx: Transaction, verdicts: Mapping[str, str]) -> None:
    """Keep what a check has said of submissions, by message uuid, for the case that their turn comes once more."""
    rows = [{"message_uuid": uuid, "verdict": verdict} for uuid, verdict in verdicts.items()]
    bulk.update(tx, submissions, rows, key="message_uuid")


def waiting(tx: Transaction) -> int:
    """Return how many submissions are not finished."""
    return tx.execute(sa.select(sa.func.count()).select_from(submissions)).scalar_one()


def next_due_at_us(tx: Transaction, *lanes: str) -> int | None:
    """Return when the next submission of these lanes is due."""
    if not lanes:
        earliest: int | None = tx.execute(_NEXT_DUE).scalar_one()
        return earliest
    dues = [tx.execute(_NEXT_DUE_IN_LANE, {"lane": lane}).scalar_one() for lane in lanes]
    return min((at_us for at_us in dues if at_us is not None), default=None)


def keep_early_receipts(tx: Transaction, rows: Sequence[bulk.Row]) -> None:
    """Store receipts until the answer to their submission is known."""
    bulk.insert(tx, early_receipts, rows)


def take_early_receipts(tx: Transaction, connector: str, refs: Sequence[str]) -> list[EarlyReceipt]:
    """Return and remove the early receipts for carrier ids that are known now, oldest first.

    From here to the end of the transaction nobody looks for messages by these ids: one who did would miss those of
    this transaction, and keep a receipt that nobody takes any more.
    """
    one_at_a_time(tx, *(f"{connector} {ref}" for ref in refs))
    rows = tx.execute(_EARLY, {"connector": connector, "refs": list(refs)})
    found = [EarlyReceipt(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name
    if found:
        tx.execute(early_receipts.delete().where(early_receipts.c.id.in_([receipt.id for receipt in found])))
    return found
