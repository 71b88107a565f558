"""Rows of the analytics file for tests that ask questions about them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from duckdb import DuckDBPyConnection

from ringback.analytics.tables import MESSAGE_COLUMNS

T = TypeVar("T")

NOON = datetime(2026, 3, 4, 12, 0)  # noqa: DTZ001 - DuckDB's timestamps are UTC and say no zone
"""When fake messages are queued: a Wednesday."""

_EVENT_COLUMNS = {
    "log_offset": "BIGINT",
    "origin": "VARCHAR",
    "account_id": "VARCHAR",
    "message_uuid": "UUID",
    "sequence": "INTEGER",
    "status": "VARCHAR",
    "flag": "VARCHAR",
    "error_code": "VARCHAR",
    "at": "TIMESTAMP",
    "lag_ms": "BIGINT",
}
_COLUMNS = {
    line.split()[0]: line.split()[1].rstrip(",")
    for line in MESSAGE_COLUMNS.splitlines()
    if line.strip() and not line.strip().startswith("--")
}


class Written(Protocol):
    """What the rows are written through: ``analytics.duck.DuckEngine``."""

    async def write(self, work: Callable[[DuckDBPyConnection], T], *, transaction: bool = True) -> T:
        """Do work in the thread that writes."""
        ...


def message_id(number: int) -> UUID:
    """Make the id of message ``number``."""
    return UUID(int=0x019AB000_0000_7000_8000_000000000000 + number)


def row(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Make a delivered message, with changes; its latencies follow from its times.

    Changing ``status`` to queued, sent, undelivered or failed leaves out the times that such a message has not.
    """
    status = changes.get("status", "delivered")
    queued_at = changes.get("queued_at", NOON)
    sent_at = queued_at + timedelta(milliseconds=400) if status not in {"queued", "failed"} else None
    final_at = queued_at + timedelta(milliseconds=2400) if status in {"delivered", "undelivered", "failed"} else None
    made: dict[str, Any] = {
        "message_uuid": message_id(number),
        "provider_id": None,
        "origin": "ringback",
        "account_id": "MAAAAAAAAAAAAAAAAAAA",
        "direction": "outbound",
        "type": "sms",
        "src": "15005550100",
        "dst_prefix": "1415555",
        "country": "US",
        "mcc": "310",
        "mnc": "260",
        "network": "Example Mobile",
        "carrier": "310-260",
        "connector": "simulator",
        "route": "default",
        "status": status,
        "error_code": {"undelivered": "300", "failed": "200", "delivered": "000"}.get(status),
        "units": 1,
        "cost": 550,
        "trackable": False,
        "queued_at": queued_at,
        "sent_at": sent_at,
        "final_at": final_at,
        "lag_ms": 30,
        "flagged": 0,
        "conversion": None,
        "converted_at": None,
        **changes,
    }
    sent_at, final_at = made["sent_at"], made["final_at"] if status == "delivered" else None
    made.setdefault("queue_ms", _ms(queued_at, sent_at))
    made.setdefault("carrier_ms", _ms(sent_at, final_at))
    made.setdefault("total_ms", _ms(queued_at, final_at))
    return made


def event(number: int = 1, offset: int = 1, **changes: Any) -> dict[str, Any]:
    """Make an event of message ``number``, with changes."""
    made: dict[str, Any] = {
        "log_offset": offset,
        "origin": "ringback",
        "account_id": "MAAAAAAAAAAAAAAAAAAA",
        "message_uuid": message_id(number),
        "sequence": 1,
        "status": "queued",
        "flag": None,
        "error_code": None,
        "at": NOON,
        "lag_ms": None,
    }
    return made | changes


def events_of(message: Mapping[str, Any], offset: int = 1) -> list[dict[str, Any]]:
    """Make the events that a message of :func:`row` has had."""
    found = [("queued", message["queued_at"]), ("sent", message["sent_at"]), (message["status"], message["final_at"])]
    return [
        event(
            offset=offset + place,
            message_uuid=message["message_uuid"],
            account_id=message["account_id"],
            origin=message["origin"],
            sequence=place + 1,
            status=status,
            error_code=message["error_code"] if status == message["status"] else None,
            at=at,
        )
        for place, (status, at) in enumerate([each for each in found if each[1] is not None])
    ]


async def filled(
    engine: Written,
    messages: Iterable[Mapping[str, Any]] = (),
    events: Iterable[Mapping[str, Any]] = (),
    *,
    opened: Iterable[Mapping[str, Any]] = (),
) -> None:
    """Put rows into the tables: ``messages`` as closed ones, ``opened`` as open ones."""
    kept = {
        "closed_messages": (_COLUMNS, list(messages)),
        "open_messages": (_COLUMNS, list(opened)),
        "events": (_EVENT_COLUMNS, list(events)),
    }

    def put(con: DuckDBPyConnection) -> None:
        for table, (columns, rows) in kept.items():
            if rows:
                _insert(con, table, columns, rows)

    await engine.write(put)


def _insert(con: DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    # Column by column: DuckDB takes two thousand single rows a second and a million such ones.
    unnested = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in columns.values())
    names = ", ".join(f'"{name}"' for name in columns)
    given = [[each[name] for each in rows] for name in columns]
    con.execute(f"INSERT INTO {table} ({names}) SELECT {unnested}", given)


def _ms(since: datetime | None, until: datetime | None) -> int | None:
    return None if since is None or until is None else (until - since) // timedelta(milliseconds=1)


def at_us(at: datetime) -> int:
    """Return microseconds since 1970."""
    return int(at.replace(tzinfo=UTC).timestamp()) * 1_000_000 + at.microsecond
