"""The list of an account's messages: filters, pages, totals, and the bound of what it looks at."""

from typing import Any

import pytest
from sqlalchemy.dialects import postgresql

from ringback.model.errors import InvalidRequest
from ringback.store import message_list, messages
from ringback.store.message_list import Page
from ringback.store.messages import Filter
from ringback.store.port import Store, Transaction
from ringback.store.schema import messages as messages_table
from tests.conformance.conftest import Database
from tests.fakes.messages import QUEUED_AT_US, message, message_uuid

ACCOUNT = "MAAAAAAAAAAAAAAAAAAA"
OTHER = "MAZZZZZZZZZZZZZZZZZZ"

PACK = "019ab000-0000-7000-8000-0000000000aa"
ROWS: list[dict[str, Any]] = [
    {"status": "delivered", "error_code": "000"},
    {"status": "failed", "error_code": "420", "dst": "447700900123", "country": "GB"},
    {"status": "undelivered", "error_code": "30", "src": "15005550199"},
    {"status": "queued", "type": "mms", "powerpack_uuid": PACK},
    {"status": "received", "direction": "inbound", "src": "14155550188", "dst": "15005550100"},
    {"status": "delivered", "error_code": "000", "log": "false", "dst": "447700900124", "country": "GB"},
    {"status": "received", "direction": "inbound", "src": "14155550187", "log": "false"},
    {"status": "delivered", "error_code": "000", "account_id": OTHER},
]


@pytest.fixture
async def filled(store: Store) -> Store:
    new = [
        message(**{"uuid": message_uuid(at), "queued_at_us": QUEUED_AT_US + at // 2, **row})
        for at, row in enumerate(ROWS)
    ]
    await store.write(lambda tx: messages.insert(tx, new))
    return store


async def look(store: Store, *, limit: int = 20, offset: int = 0, look_at: int = 100, **wanted: Any) -> Page:
    given = Filter(**{"account_id": ACCOUNT, **wanted})
    return await store.read(lambda tx: message_list.page(tx, given, limit=limit, offset=offset, look_at=look_at))


def numbers(page: Page) -> list[int]:
    return [int(each.uuid[-12:]) for each in page.messages]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [6, 5, 4, 3, 2, 1, 0]),
        ({"status": "delivered"}, [5, 0]),
        ({"status": "failed"}, [1]),
        ({"status": "undelivered"}, [2]),
        ({"status": "rejected"}, []),
        ({"error_code": "420"}, [1]),
        ({"error_code": "000"}, [5, 0]),
        ({"error_code": "30", "status": "failed"}, []),
        ({"error_code": "420", "status": "delivered"}, []),
        ({"direction": "inbound"}, [6, 4]),
        ({"type": "mms"}, [3]),
        ({"powerpack_uuid": PACK}, [3]),
        ({"powerpack_uuid": message_uuid(9)}, []),
        ({"country": "GB"}, [5, 1]),
        ({"country": "GB", "status": "failed"}, [1]),
        ({"src": "15005550199"}, [2]),
        ({"dst": "447700900123"}, [1]),
        ({"dst": "447700900123", "status": "failed", "country": "GB", "error_code": "420"}, [1]),
        ({"dst": "447700900123", "country": "US"}, []),
        # Hidden numbers are not found by who guesses them.
        ({"dst": "447700900124"}, []),
        ({"src": "14155550187"}, []),
        ({"src": "14155550188"}, [4]),
        ({"queued_after_us": QUEUED_AT_US + 2, "queued_before_us": QUEUED_AT_US + 3}, [5, 4]),
        ({"queued_after_us": QUEUED_AT_US + 1, "status": "delivered"}, [5]),
        ({"account_id": OTHER}, [7]),
    ],
)
async def test_every_filter_finds_its_messages_newest_first(
    filled: Store, wanted: dict[str, Any], found: list[int]
) -> None:
    whole = await look(filled, **wanted)
    assert numbers(whole) == found
    assert whole.total == len(found)
    paged = [await look(filled, limit=2, offset=offset, **wanted) for offset in range(0, len(found) + 1, 2)]
    assert [number for page in paged for number in numbers(page)] == found
    assert {page.total for page in paged} == {len(found)}


async def test_new_messages_leave_a_page_that_is_bounded_in_time_as_it_was(filled: Store) -> None:
    before = await look(filled, limit=2, offset=2, queued_before_us=QUEUED_AT_US + 100)
    new = message(uuid=message_uuid(99), queued_at_us=QUEUED_AT_US + 100)
    await filled.write(lambda tx: messages.insert(tx, [new]))
    assert await look(filled, limit=2, offset=2, queued_before_us=QUEUED_AT_US + 100) == before


async def test_totals_are_counted_up_to_the_bound(filled: Store) -> None:
    assert (await look(filled, look_at=4)).total == 4
    assert (await look(filled, look_at=7)).total == 7


async def test_a_search_that_would_look_at_more_says_so(filled: Store) -> None:
    assert numbers(await look(filled, look_at=2, limit=1, direction="inbound")) == [6]
    with pytest.raises(InvalidRequest, match="more than 2 messages in the time asked for"):
        await look(filled, look_at=2, type="mms")
    # These go by an index that has nothing else.
    assert numbers(await look(filled, look_at=2, status="failed")) == [1]
    assert numbers(await look(filled, look_at=2, dst="447700900123")) == [1]
    assert numbers(await look(filled, look_at=7, type="mms")) == [3]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"queued_after_us": 1}, "Index Only Scan Backward using ix_messages_account_id_queued_at_us"),
        (
            {"status": "delivered", "queued_after_us": 1},
            "Index Only Scan Backward using ix_messages_account_id_queued_at_us",
        ),
        (
            {"type": "mms", "country": "DE", "src": "1", "powerpack_uuid": PACK},
            "Index Only Scan Backward using ix_messages_account_id_queued_at_us",
        ),
        ({"status": "failed", "queued_after_us": 1}, "Index Only Scan Backward using ix_messages_failures"),
        ({"error_code": "30"}, "Index Only Scan Backward using ix_messages_failures"),
    ],
)
async def test_postgres_has_the_index_for_it_too(prepared: Database, wanted: dict[str, Any], index: str) -> None:
    if prepared.driver != "postgres":
        pytest.skip("tests/unit/test_query_plans.py asks the other one")
    found = message_list._found(Filter(account_id=ACCOUNT, **wanted), None)
    newest = found.order_by(messages_table.c.queued_at_us.desc(), messages_table.c.uuid.desc()).limit(20)
    query = newest.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})

    def explain(tx: Transaction) -> str:
        # So few rows are read as a whole otherwise.
        for way in ("seqscan", "bitmapscan"):
            tx.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        return "\n".join(tx.exec_driver_sql(f"EXPLAIN {query}").scalars())

    store = prepared.open()
    try:
        plan = await store.write(explain)
    finally:
        await store.close()
    assert index in plan, plan
    assert "Sort" not in plan, plan
