"""Parts of messages that went in several, and when to look for receipts that have not come."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from ringback.model.parts import Part
from ringback.store import bulk
from ringback.store.port import Transaction
from ringback.store.schema import messages
from ringback.store.schema_carriers import message_parts, receipt_deadlines

_UUIDS: Final[sa.BindParameter[str]] = sa.bindparam("uuids", expanding=True)
_BY_REF: Final = sa.select(message_parts.c.carrier_ref, message_parts.c.message_uuid).where(
    message_parts.c.connector == sa.bindparam("connector"),
    message_parts.c.carrier_ref.in_(sa.bindparam("refs", expanding=True)),
)
_OF_MESSAGES: Final = (
    sa.select(message_parts)
    .where(message_parts.c.message_uuid.in_(_UUIDS))
    .order_by(message_parts.c.message_uuid, message_parts.c.part)
)
_FIRST_DEADLINE: Final = sa.select(sa.func.min(receipt_deadlines.c.due_at_us))
_DUE: Final = (
    sa.select(receipt_deadlines.c.message_uuid)
    .where(receipt_deadlines.c.due_at_us <= sa.bindparam("now_us"))
    .order_by(receipt_deadlines.c.due_at_us)
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)


def replace(tx: Transaction, uuids: Sequence[str], new: Sequence[Part]) -> None:
    """Store the parts of messages instead of those that an earlier submission left."""
    if uuids:
        tx.execute(message_parts.delete().where(message_parts.c.message_uuid.in_(uuids)))
    bulk.insert(
        tx,
        message_parts,
        [
            {
                "message_uuid": part.message_uuid,
                "part": part.part,
                "connector": part.connector,
                "carrier_ref": part.carrier_ref,
                "state": part.state,
                "error_code": part.error_code,
            }
            for part in new
        ],
    )


def by_carrier_ref(tx: Transaction, connector: str, refs: Sequence[str]) -> dict[str, str]:
    """Return the uuids of messages by the carrier's name of one of their parts.

    To be asked where ``messages.by_carrier_ref`` has found nothing, in the same transaction.
    """
    rows = tx.execute(_BY_REF, {"connector": connector, "refs": list(refs)})
    return {row.carrier_ref: row.message_uuid for row in rows}


def of_messages(tx: Transaction, uuids: Sequence[str]) -> dict[str, list[Part]]:
    """Return the parts of messages, by number. Their messages must be locked: whoever changes a part locks its own."""
    found: dict[str, list[Part]] = defaultdict(list)
    for row in tx.execute(_OF_MESSAGES, {"uuids": list(uuids)}):
        found[row.message_uuid].append(Part(**row._mapping))  # noqa: SLF001 - SQLAlchemy's public name
    return found


def update(tx: Transaction, changed: Iterable[Part]) -> None:
    """Store the state of parts."""
    for part in changed:
        tx.execute(
            message_parts.update()
            .where(message_parts.c.message_uuid == part.message_uuid, message_parts.c.part == part.part)
            .values(state=part.state, error_code=part.error_code)
        )


def awaiting_receipt(tx: Transaction, connector: str, *, limit: int) -> list[tuple[Part, str, int]]:
    """Return parts that a connector has taken and not reported on, each with the destination and when it was sent."""
    query = (
        sa.select(message_parts, messages.c.dst, messages.c.sent_at_us)
        .join(messages, messages.c.uuid == message_parts.c.message_uuid)
        .where(
            message_parts.c.connector == connector,
            message_parts.c.carrier_ref.is_not(None),
            message_parts.c.state == "sent",
            messages.c.status == "sent",
        )
        .order_by(message_parts.c.message_uuid.desc(), message_parts.c.part)
        .limit(limit)
    )
    names = Part.__struct_fields__
    return [
        (Part(**{name: row._mapping[name] for name in names}), row.dst, row.sent_at_us or 0)  # noqa: SLF001
        for row in tx.execute(query)
    ]


def await_receipts(tx: Transaction, due_at_us: dict[str, int]) -> None:
    """Note until when receipts of messages are expected."""
    rows = [{"message_uuid": uuid, "due_at_us": at_us} for uuid, at_us in due_at_us.items()]
    bulk.insert(tx, receipt_deadlines, rows)


def first_deadline_us(tx: Transaction) -> int | None:
    """Return until when the first receipt is expected."""
    first: int | None = tx.execute(_FIRST_DEADLINE).scalar_one()
    return first


def take_overdue(tx: Transaction, *, now_us: int, limit: int) -> list[str]:
    """Return and forget messages whose receipts were expected by now, those overdue longest first."""
    uuids = list(tx.execute(_DUE, {"now_us": now_us, "limit": limit}).scalars())
    if uuids:
        tx.execute(receipt_deadlines.delete().where(receipt_deadlines.c.message_uuid.in_(uuids)))
    return uuids


def remove(tx: Transaction, uuids: Sequence[str]) -> None:
    """Remove what there is of messages that are removed."""
    if uuids:
        tx.execute(message_parts.delete().where(message_parts.c.message_uuid.in_(uuids)))
        tx.execute(receipt_deadlines.delete().where(receipt_deadlines.c.message_uuid.in_(uuids)))
