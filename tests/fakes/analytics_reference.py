"""What the analytics file has to hold, worked out from the store slowly and plainly, a message at a time."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from ringback.store.port import Transaction
from ringback.store.schema import callbacks, conversions, events, messages

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - as DuckDB gives them
_COLUMNS = (
    "message_uuid", "origin", "account_id", "direction", "type", "src", "dst_prefix", "country", "mcc", "mnc",
    "network", "carrier", "connector", "route", "status", "error_code", "units", "cost", "trackable", "queued_at",
    "sent_at", "final_at", "queue_ms", "carrier_ms", "total_ms", "lag_ms", "flagged", "conversion", "converted_at",
)  # fmt: skip

MESSAGES_SQL = f"SELECT {', '.join(_COLUMNS)} FROM messages WHERE origin = 'ringback' ORDER BY message_uuid"  # noqa: S608
EVENTS_SQL = (
    'SELECT log_offset, account_id, message_uuid, sequence, status, flag, error_code, "at" FROM events '
    "WHERE origin = 'ringback' ORDER BY log_offset"
)


def platform_messages(tx: Transaction) -> list[tuple[Any, ...]]:
    """Return what ``MESSAGES_SQL`` has to give."""
    return sorted((_message(tx, row) for row in tx.execute(sa.select(messages)).mappings()), key=lambda row: row[0].int)


def platform_events(tx: Transaction) -> list[tuple[Any, ...]]:
    """Return what ``EVENTS_SQL`` has to give."""
    return [
        (
            row["id"], row["account_id"], UUID(row["message_uuid"]), row["sequence"], row["status"],
            row["flag"] or None, row["error_code"] or None, _time(row["at_us"]),
        )
        for row in tx.execute(sa.select(events).order_by(events.c.id)).mappings()
    ]  # fmt: skip


def _message(tx: Transaction, row: Any) -> tuple[Any, ...]:
    uuid, queued, sent, final = row["uuid"], row["queued_at_us"], row["sent_at_us"], row["final_at_us"]
    is_inbound, hides = row["direction"] == "inbound", row["log"] in {"false", "content_only"}
    said = tx.execute(
        sa.select(conversions).where(conversions.c.message_uuid == uuid).order_by(conversions.c.id)
    ).mappings().all()  # fmt: skip
    lags = tx.execute(
        sa.select(callbacks.c.done_at_us - callbacks.c.created_at_us).where(
            callbacks.c.message_uuid == uuid, callbacks.c.state == "delivered", callbacks.c.resend_of.is_(None)
        )
    ).scalars().all()  # fmt: skip
    flags = tx.execute(sa.select(events.c.flag).where(events.c.message_uuid == uuid)).scalars().all()
    fees = Decimal(row["carrier_fees_rate"] or 0)
    delivered = row["status"] == "delivered"
    return (
        UUID(uuid),
        "ringback",
        row["account_id"],
        row["direction"],
        row["type"],
        _cut(row["src"], hides=hides) if is_inbound else row["src"],
        _cut(row["dst"], hides=hides and not is_inbound),
        row["country"] or None,
        row["mcc"],
        row["mnc"],
        row["network"],
        f"{row['mcc']}-{row['mnc']}" if row["mcc"] and row["mnc"] else None,
        row["connector"],
        row["route"],
        row["status"],
        row["error_code"],
        row["units"],
        int((Decimal(row["rate"]) + fees) * row["units"] * 100_000),
        row["trackable"],
        _time(queued),
        _time(sent),
        _time(final),
        _ms(queued, sent),
        _ms(sent, final) if delivered else None,
        _ms(queued, final) if delivered else None,
        max(lags) // 1000 if lags else None,
        sum(flag != "" for flag in flags),
        said[-1]["status"] if said else None,
        _time(said[-1]["converted_at_us"]) if said else None,
    )


def _cut(number: str, *, hides: bool) -> str:
    return number[:3] if hides else number[: max(len(number) - 4, 0)]


def _time(at_us: int | None) -> Any:
    return None if at_us is None else _EPOCH + timedelta(microseconds=at_us)


def _ms(since_us: int | None, until_us: int | None) -> int | None:
    return None if since_us is None or until_us is None else max(until_us - since_us, 0) // 1000
