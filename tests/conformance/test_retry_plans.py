"""Whose retry plan holds for attempts that an endpoint's parking held back, on every driver."""

from functools import partial

import msgspec
import pytest

from ringback.model.circuit import FIRST_COOLDOWN_US, Finding
from ringback.model.ids import AccountId
from ringback.store import accounts, callbacks, endpoints, resends
from ringback.store.port import Store
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ACCOUNT, ORIGIN, PARK_AFTER, Engine, ids, new_callback
from tests.fakes.ids import counting_ids

OTHER = "MABBBBBBBBBBBBBBBBBB"
ONE_ATTEMPT, PATIENT = "[]", "[3600.0,3600.0]"


@pytest.fixture
async def engine(store: Store) -> Engine:
    clock = FakeClock()
    for auth_id in (ACCOUNT, OTHER):
        work = partial(accounts.create, auth_id=AccountId(auth_id), token=auth_id, name="", now_us=clock.now_us())
        await store.write(work)
    return Engine(store, clock)


async def owe(engine: Engine, number: int, plan: str | None, *, account: str = ACCOUNT) -> str:
    """Let a callback become owed whose message asked for a plan."""
    new = new_callback(number, sequence=1, now_us=engine.clock.now_us(), account=account)
    new = msgspec.structs.replace(new, retry_delays=plan)
    await engine.store.write(lambda tx: callbacks.owe(tx, [new]))
    return new.id


async def park(engine: Engine, *, account: str = ACCOUNT, numbers: int = 0) -> None:
    await engine.owe(*range(numbers, numbers + PARK_AFTER), account=account)
    await engine.end(await engine.claim(), Finding.DOWN)


async def alive_after_parking(engine: Engine, **plans: str | None) -> list[str]:
    """Let a callback with each of the plans fall due while its endpoint is parked; which are owed after the probe."""
    await park(engine)
    await park(engine, account=OTHER, numbers=100)
    names = {}
    for number, (name, plan) in enumerate(plans.items(), 10):
        account = OTHER if name.startswith("other") else ACCOUNT
        names[await owe(engine, number, plan, account=account)] = name
    engine.clock.advance(FIRST_COOLDOWN_US / 1e6)
    await engine.claim()
    states = await engine.states()
    return [name for owed, name in names.items() if states[owed] == "pending"]


async def set_account(engine: Engine, plan: str) -> None:
    await engine.store.write(lambda tx: accounts.set_retry_delays(tx, ACCOUNT, plan))


async def test_what_parking_uses_up_goes_by_the_messages_plan(engine: Engine) -> None:
    assert await alive_after_parking(engine, once=ONE_ATTEMPT, patient=PATIENT, usual=None) == ["patient", "usual"]


async def test_it_goes_by_the_accounts_plan_where_nothing_is_more_specific(engine: Engine) -> None:
    await set_account(engine, ONE_ATTEMPT)
    assert await alive_after_parking(engine, usual=None, patient=PATIENT, other=None) == ["patient", "other"]


async def test_the_endpoints_plan_stands_between_the_two(engine: Engine) -> None:
    await set_account(engine, PATIENT)
    await engine.owe(900)
    await engine.end(await engine.claim())
    id_ = endpoints.key(ACCOUNT, ORIGIN)
    await engine.store.write(lambda tx: endpoints.configure(tx, id_, retry_delays=ONE_ATTEMPT))
    assert await alive_after_parking(engine, usual=None, patient=PATIENT, other_once=ONE_ATTEMPT) == ["patient"]


async def test_what_a_good_probe_finds_waiting_goes_by_its_plan_too(engine: Engine) -> None:
    await set_account(engine, ONE_ATTEMPT)
    await park(engine)
    first = await owe(engine, 50, PATIENT)
    engine.clock.advance(FIRST_COOLDOWN_US / 1e6)
    probe = await engine.claim()
    assert ids(probe) == [first]
    usual = await owe(engine, 60, None)
    # The older one is looked at first: after the probe there is room for one.
    engine.clock.advance(0.5)
    patient = await owe(engine, 61, PATIENT)
    engine.clock.advance(0.5)
    await engine.end(probe)
    await engine.claim()
    states = await engine.states()
    assert (states[usual], states[patient]) == ("given_up", "pending")
    engine.clock.advance(3600)
    assert {each.callback.id: each.callback.attempts_made for each in await engine.claim()}[patient] == 1


async def test_a_resend_keeps_the_plan_of_its_message(engine: Engine) -> None:
    original = await owe(engine, 1, PATIENT)
    await engine.end(await engine.claim())
    again = await engine.store.write(lambda tx: resends.resend(tx, [original], new_id=counting_ids(), now_us=1))
    claimed = await engine.claim()
    assert [(each.callback.id, each.callback.retry_delays) for each in claimed] == [(again[0], PATIENT)]
    found, _ = await engine.store.read(lambda tx: resends.find(tx, again[0]))
    assert found.retry_delays == PATIENT


async def test_an_account_has_a_plan_until_it_is_taken_back(engine: Engine) -> None:
    for plan in (PATIENT, None):
        await engine.store.write(partial(accounts.set_retry_delays, auth_id=ACCOUNT, retry_delays=plan))
        found = await engine.store.read(lambda tx: accounts.find(tx, ACCOUNT, 1))
        assert found
        assert found.retry_delays == plan
        assert await engine.store.read(lambda tx: accounts.retry_delays(tx, ACCOUNT)) == plan
    assert await engine.store.read(lambda tx: accounts.retry_delays(tx, "nobody")) is None


async def test_accounts_are_not_read_where_nothing_was_parked(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise AssertionError("a claim has read an account")

    monkeypatch.setattr(accounts, "retry_delays", refuse)
    owed = await engine.owe(1)
    await engine.end(await engine.claim(), Finding.DOWN)
    engine.clock.advance(60)
    assert ids(await engine.claim()) == owed
