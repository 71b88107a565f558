"""Many rows in one statement: every size, every type of value."""

from typing import Any

import pytest
import sqlalchemy as sa

from ringback.store import bulk
from ringback.store.port import Store, Transaction
from ringback.store.schema import attempts, received_requests, rollups

SIZES = (0, 1, 2, 3, 7, 64, 1000)
TEXTS = ("", "plain", "'; --", "%s ? :x \\", "naïve ☎ 😀 مرحبا", "line\nbreak")
BODIES = (b"", b"\x00\xff\x01", b"plain")


def request(number: int) -> dict[str, Any]:
    return {
        "id": f"{number:036d}",
        "source": TEXTS[number % len(TEXTS)],
        "received_at_us": number * 10**12,
        "method": "POST",
        "target": TEXTS[(number + 1) % len(TEXTS)],
        "headers": "[]",
        "body": BODIES[number % len(BODIES)],
        "peer": "127.0.0.1",
        "verdict": "v3",
        "accepted": number % 2 == 0,
    }


def attempt(number: int) -> dict[str, Any]:
    return {
        "callback_id": f"{number:036d}",
        "number": 1,
        "planned_at_us": 0,
        "started_at_us": 0,
        "duration_us": 0,
        "outcome": "ok",
        "http_status": None if number % 3 == 0 else 200,
        "request_headers": "[]",
        "response_headers": "[]",
        "response_body": BODIES[number % len(BODIES)],
        "error": None if number % 2 == 0 else TEXTS[number % len(TEXTS)],
    }


def rows(tx: Transaction, table: sa.Table) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in tx.execute(sa.select(table).order_by(*table.primary_key))]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("table", "make"), [(received_requests, request), (attempts, attempt)], ids=["requests", "attempts"]
)
async def test_insert(store: Store, size: int, table: sa.Table, make: Any) -> None:
    new = [make(number) for number in range(size)]
    await store.write(lambda tx: bulk.insert(tx, table, new))
    assert await store.read(lambda tx: rows(tx, table)) == new


@pytest.mark.parametrize("size", SIZES)
async def test_update(store: Store, size: int) -> None:
    await store.write(lambda tx: bulk.insert(tx, attempts, [attempt(number) for number in range(size + 1)]))
    # Values of every type, the first row's among them, become null, and nulls become values.
    changed = [
        attempt(number)
        | {"http_status": 500 + number if number % 2 else None, "response_body": b"\xfe", "error": error}
        for number in range(size)
        for error in [None if number % 4 == 0 else f"{number} ☎"]
    ]
    names = ("callback_id", "http_status", "response_body", "error")
    await store.write(
        lambda tx: bulk.update(
            tx, attempts, [{name: row[name] for name in names} for row in changed], key="callback_id"
        )
    )
    assert await store.read(lambda tx: rows(tx, attempts)) == [*changed, attempt(size)]


async def test_update_of_booleans_and_times(store: Store) -> None:
    await store.write(lambda tx: bulk.insert(tx, received_requests, [request(1), request(2)]))
    change = {"id": request(2)["id"], "accepted": False, "received_at_us": 2**62}
    await store.write(lambda tx: bulk.update(tx, received_requests, [change], key="id"))
    assert await store.read(lambda tx: rows(tx, received_requests)) == [request(1), request(2) | change]


@pytest.mark.parametrize("size", SIZES)
async def test_add(store: Store, size: int) -> None:
    new: list[dict[str, Any]] = [
        {"account_id": "MA", "hour_at_us": number, "measure": "status", "bucket": "queued", "total": number * 10**9}
        for number in range(size)
    ]
    less = [row | {"total": -1} for row in new[::2]]
    await store.write(lambda tx: bulk.add(tx, rollups, new, total="total"))
    await store.write(lambda tx: bulk.add(tx, rollups, less, total="total"))
    expected = [row | {"total": row["total"] - (row["hour_at_us"] % 2 == 0)} for row in new]
    assert await store.read(lambda tx: rows(tx, rollups)) == expected
