"""Thresholds of countries over a real database: exact whatever happens at a time, and told once."""

import asyncio
import json

import pytest

from ringback.messaging.geo import over_threshold
from ringback.model.errors import NotFound
from ringback.model.ids import AccountId
from ringback.settings import LimitsSettings
from ringback.store import accounts, country_counts, limits, pruning, resends, submissions
from ringback.store.limits import ALL, Geo, Limit
from ringback.store.port import Store, Transaction
from ringback.store.resends import Filter
from ringback.store.schema import accounts as accounts_table
from ringback.store.submissions import Submission
from tests.conformance.conftest import Database
from tests.fakes.messages import message_uuid

MAIN, SUB, OTHER = AccountId("MA" + "A" * 18), AccountId("SA" + "B" * 18), AccountId("MA" + "C" * 18)
BERLIN, MOSCOW = "4915112345678", "79161234567"
NOW_US = 1_764_000_000_000_000
HOUR_US = 3_600_000_000
URL = "https://one.example/fraud"


async def add_accounts(store: Store, **changes: object) -> None:
    def work(tx: Transaction) -> None:
        for auth_id in (MAIN, SUB, OTHER):
            accounts.create(tx, auth_id=auth_id, token=f"token {auth_id}", name="", now_us=1)
        tx.execute(accounts_table.update().where(accounts_table.c.auth_id == SUB).values(parent_id=MAIN))
        limits.configure(tx, MAIN, changes)

    await store.write(work)


async def queue(store: Store, *numbers: int, dst: str = BERLIN, account: str = MAIN) -> None:
    """Let submissions be due."""
    rows = [
        {
            "message_uuid": message_uuid(number), "account_id": account, "src": "1", "dst": dst, "text": "",
            "attempts_made": 0, "expires_at_us": NOW_US + HOUR_US, "due_at_us": 1, "lease_token": None,
        }
        for number in numbers
    ]  # fmt: skip
    await store.write(lambda tx: submissions.add(tx, rows))


async def turn(store: Store, *, now_us: int = NOW_US, limit: int = 100) -> tuple[list[Submission], set[int]]:
    """Lease what is due; gives it, and the numbers of those that were refused."""

    def work(tx: Transaction) -> tuple[list[Submission], set[int]]:
        leased = submissions.claim(
            tx, now_us=now_us, lease_until_us=now_us + 1, lease_token=message_uuid(0), limit=limit
        )
        refused = over_threshold(tx, leased, now_us)
        assert {refusal.error_code for refusal in refused.values()} <= {"451"}
        return leased, {int(uuid[-12:]) for uuid in refused}

    return await store.write(work)


async def alerts(store: Store) -> list[dict[str, object]]:
    found = await store.read(lambda tx: resends.listed(tx, Filter(), limit=100)[0])
    assert {each.kind for each in found} <= {"alert"}
    return [json.loads(dict(json.loads(each.params))["body"]) for each in found]


async def test_those_above_the_threshold_are_refused_and_it_is_told_once_an_hour(store: Store) -> None:
    await add_accounts(store, thresholds='{"DE":3}', alert_url=URL)
    await queue(store, 1, 2)
    assert (await turn(store))[1] == set()
    await queue(store, 3, 4, 5)
    await queue(store, 6, dst=MOSCOW)
    await queue(store, 7, account=OTHER)
    _, refused = await turn(store)
    assert len(refused & {3, 4, 5}) == len(refused) == 2
    assert [alert["destination_country"] for alert in await alerts(store)] == ["DE"]
    await queue(store, 8)
    assert (await turn(store))[1] & {8} == {8}
    assert len(await alerts(store)) == 1
    await queue(store, 9, 10, 11, 12)
    assert len((await turn(store, now_us=NOW_US + HOUR_US))[1] & {9, 10, 11, 12}) == 1
    assert len(await alerts(store)) == 2


async def test_a_second_turn_is_neither_counted_nor_judged_anew(store: Store) -> None:
    await add_accounts(store, thresholds='{"DE":2}')
    await queue(store, 1, 2, 3)
    _, refused = await turn(store)
    # Their process has died: they are due again when their leases have run out.
    for later_us in (10, 20):
        again, still = await turn(store, now_us=NOW_US + later_us)
        assert len(again) == 3
        assert still == refused


async def test_processes_at_a_time_let_no_message_too_many_pass(prepared: Database) -> None:
    stores = [prepared.open() for _ in range(3)]
    try:
        await add_accounts(stores[0], thresholds='{"*":10}', alert_url=URL)
        await queue(stores[0], *range(1, 61))
        await asyncio.gather(*(turn(store, limit=5) for store in stores for _ in range(8)))
        left, refused = await turn(stores[0], now_us=NOW_US + 10)
        assert (len(left), len(refused)) == (60, 50)
        assert len(await alerts(stores[0])) == 1
    finally:
        for store in stores:
            await store.close()


@pytest.mark.parametrize(
    ("whose", "thresholds", "refused"),
    [
        # Of the main account: its subaccounts count with it.
        (MAIN, '{"DE":1}', 2),
        (SUB, '{"DE":1}', 1),
        # Of the installation: every main account by itself.
        (ALL, '{"DE":1}', 2),
        (ALL, '{"FR":0,"*":1}', 2),
        (OTHER, '{"DE":0}', 0),
    ],
)
async def test_whose_threshold_it_is(store: Store, whose: str, thresholds: str, refused: int) -> None:
    await add_accounts(store)
    await store.write(lambda tx: limits.configure(tx, whose, {"thresholds": thresholds}))
    await queue(store, 1)
    await queue(store, 2, 3, account=SUB)
    assert len((await turn(store))[1]) == refused


async def test_old_counts_and_alerts_go(store: Store) -> None:
    await add_accounts(store, thresholds='{"DE":0}', alert_url=URL)
    await queue(store, 1)
    await turn(store)
    assert await store.write(lambda tx: country_counts.prune(tx, before_us=NOW_US + 1, limit=9)) == 1
    assert await store.write(lambda tx: country_counts.prune(tx, before_us=NOW_US + 1, limit=9)) == 0
    later_us = NOW_US + 1
    assert await store.write(lambda tx: pruning.prune_other_callbacks(tx, before_us=later_us, limit=9)) == 0


async def test_limits_are_the_accounts_then_its_main_accounts_then_those_of_the_settings(store: Store) -> None:
    await add_accounts(store, messages_per_s=5.0, requests_per_5_s=0, countries_blocked="RU,KP")
    await store.write(lambda tx: limits.configure(tx, SUB, {"mms_per_s": 0.25}))
    await store.write(lambda tx: limits.configure(tx, ALL, {"countries_allowed": "DE,RU"}))
    settings = LimitsSettings(requests_per_5_s=300, messages_per_s=1, mms_per_s=1, lists_per_minute=20)
    found = await store.read(lambda tx: limits.effective(tx, SUB, MAIN, settings))
    assert found.messages_per_s == Limit(5.0, MAIN)
    assert found.mms_per_s == Limit(0.25, SUB)
    assert found.lists_per_minute == Limit(20, MAIN)
    assert found.requests_per_5_s is None
    assert [found.is_open(country) for country in ("DE", "RU", "US")] == [True, False, False]
    other = await store.read(lambda tx: limits.effective(tx, OTHER, OTHER, settings))
    assert other.geo == (Geo(owner=ALL, allowed=frozenset({"DE", "RU"})),)


async def test_changes_keep_what_they_do_not_name(store: Store) -> None:
    await add_accounts(store, messages_per_s=5.0)
    await store.write(lambda tx: limits.configure(tx, MAIN, {"alert_url": URL}))
    await store.write(lambda tx: limits.configure(tx, MAIN, {"messages_per_s": None}))
    row = await store.read(lambda tx: limits.own(tx, MAIN))
    assert (row["alert_url"], row["messages_per_s"]) == (URL, None)
    with pytest.raises(NotFound, match="there is no account MA1"):
        await store.write(lambda tx: limits.configure(tx, "MA1", {}))
