"""What a message costs its account: taken when the carrier has the message, and only then."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ringback.carriers.port import Accepted, Deferred
from ringback.dialect import send
from ringback.model import money
from ringback.model.errors import InsufficientCredit
from ringback.model.message import Message
from ringback.model.pricing import Price
from ringback.store import accounts, credit, messages, prices, profiles
from ringback.store.accounts import Account
from ringback.store.schema import submissions
from ringback.store.schema_accounts import ledger
from tests.integration.test_messaging import ACCOUNT, LEASE_S, REJECTED, Messaging

AUTH_ID = ACCOUNT.auth_id


class Billed(Messaging):
    """The messaging package with an account that pays."""

    async def begin(self, **changes: Any) -> None:
        """Create the account."""
        now_us = self.clock.now_us()

        def work(tx: Any) -> None:
            accounts.create(tx, auth_id=AUTH_ID, token="token", name="tests", now_us=now_us)
            profiles.lay_down(tx, AUTH_ID, {"billing_mode": "prepaid", **changes}, now_us=now_us)

        await self.store.write(work)

    async def account(self) -> Account:
        found = await self.store.read(lambda tx: accounts.find(tx, AUTH_ID, self.clock.now_us()))
        assert found
        return found

    async def accept(self, **fields: Any) -> list[str]:
        request = send.parse({"src": "15005550100", "dst": "14155550123", "text": "hello", **fields})
        return await self.acceptor.accept(await self.account(), request, requester_ip="")

    async def add(self, amount: int) -> None:
        now_us = self.clock.now_us()
        await self.store.write(
            lambda tx: credit.add(tx, AUTH_ID, amount, entry_id=str(now_us), note=None, now_us=now_us)
        )

    async def balance(self) -> int:
        """The balance; it is what the ledger says, too."""
        found = (await self.store.read(lambda tx: profiles.profile(tx, AUTH_ID))).balance
        entries = await self.store.read(lambda tx: credit.entries(tx, AUTH_ID, limit=100))
        assert sum(entry.total for entry in entries) == found
        return found

    async def ends(self) -> dict[str, Message]:
        """Every message."""
        found = await self.store.read(lambda tx: messages.page(tx, messages.Filter(), limit=10_000, offset=0))
        return {message.uuid: message for message in found}


@pytest.fixture
async def sms(tmp_path: Path) -> AsyncIterator[Billed]:
    billed = Billed(tmp_path)
    yield billed
    await billed.store.close()


async def test_only_what_the_carrier_takes_is_charged(sms: Billed) -> None:
    await sms.begin()
    await sms.add(10_000)
    for last in "0123":
        await sms.accept(dst=f"1415555012{last}", message_expiry=100 if last == "3" else None)
        sms.clock.advance(0.001)
    sms.connector.outcomes.extend(
        [
            Accepted(carrier_refs=("r1",)),
            REJECTED,
            Deferred(retry_after_s=30, detail="busy"),
            Deferred(retry_after_s=200, detail="busy"),
        ]
    )
    await asyncio.gather(*map(sms.submitter.submit, await sms.claim()))
    assert await sms.balance() == 10_000 - 550
    sms.clock.advance(30)
    await sms.submit(Accepted(carrier_refs=("r2",)))
    sms.clock.advance(170)
    await sms.submit()
    assert await sms.balance() == 10_000 - 2 * 550
    assert sorted(str(each.error_code) for each in (await sms.ends()).values()) == ["420", "50", "None", "None"]


async def test_a_handover_whose_lease_ran_out_is_charged_once(sms: Billed) -> None:
    await sms.begin()
    await sms.add(10_000)
    await sms.accept()
    [slow] = await sms.claim()
    sms.clock.advance(LEASE_S)
    [quick] = await sms.claim()
    for turn in (quick, slow):
        sms.connector.outcomes.append(Accepted(carrier_refs=("ref",)))
        await sms.submitter.submit(turn)
    assert await sms.balance() == 10_000 - 550


async def test_rate_and_carrier_fees_are_charged_for_every_unit(sms: Billed) -> None:
    table = [Price(country="US", sms_outbound="0.00650", sms_carrier_fee="0.00301")]
    await sms.store.write(lambda tx: prices.replace(tx, table))
    await sms.begin()
    await sms.add(10_000)
    await sms.accept(text="a" * 161)
    await sms.submit()
    assert await sms.balance() == 10_000 - 2 * (650 + 301)


async def test_out_of_credit_fails_with_900_and_refuses_for_two_minutes(sms: Billed) -> None:
    await sms.begin()
    await sms.add(1_200)
    uuids = [(await sms.accept(dst=f"1415555012{last}"))[0] for last in "012"]
    await sms.submit()
    failed = await sms.message(uuids[2])
    assert (failed.status, failed.error_code) == ("failed", "900")
    assert await sms.balance() == 100
    sms.clock.advance(119.9)
    with pytest.raises(InsufficientCredit, match=r"^Insufficient Credit"):
        await sms.accept()
    assert len(await sms.ends()) == 3
    sms.clock.advance(0.1)
    await sms.accept()
    await sms.submit()
    assert await sms.balance() == 100
    with pytest.raises(InsufficientCredit):
        await sms.accept()
    await sms.add(1_000)
    await sms.accept()
    await sms.submit()
    assert await sms.balance() == 550


async def test_what_expired_costs_nothing_and_refuses_nobody(sms: Billed) -> None:
    await sms.begin()
    [uuid] = await sms.accept(message_expiry=5)
    sms.clock.advance(5)
    await sms.submit()
    assert (await sms.message(uuid)).error_code == "420"
    assert (await sms.account()).refused_until_us is None


async def test_a_postpaid_account_leaves_no_trace(sms: Billed) -> None:
    await sms.begin(billing_mode="postpaid")
    await sms.accept()
    prices_of_queued = await sms.store.read(lambda tx: tx.execute(sa.select(submissions.c.price)).scalars().all())
    await sms.submit()
    assert prices_of_queued == [None]
    assert await sms.store.read(lambda tx: tx.execute(sa.select(ledger)).all()) == []
    assert await sms.balance() == 0


async def test_thousands_of_messages_are_charged_to_the_last_unit(sms: Billed) -> None:
    chance = random.Random(3)
    await sms.begin()
    start = 3_000_000
    await sms.add(start)
    for number in range(60):
        destinations = "<".join(str(14150000000 + number * 100 + each) for each in range(50))
        await sms.accept(dst=destinations, text="a" * chance.randrange(1, 1600))
    sms.connector.outcomes.extend(
        REJECTED if chance.random() < 0.3 else Accepted(carrier_refs=(f"ref-{number}",)) for number in range(4_000)
    )
    while turns := await sms.claim():
        await asyncio.gather(*map(sms.submitter.submit, turns))
    ends = list((await sms.ends()).values())
    spent = sum(money.of_rate(each.rate) * each.units for each in ends if each.status == "sent")
    assert await sms.balance() == start - spent >= 0
    assert {each.error_code for each in ends} == {None, "50", "900"}
    assert len(ends) == 3_000
