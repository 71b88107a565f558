"""Messages of a limited account, accepted by several processes over one database."""

import asyncio

from ringback.dialect import send
from ringback.messaging.accept import Acceptor
from ringback.metrics import Metrics
from ringback.model.ids import AccountId, uuid7
from ringback.settings import LimitsSettings
from ringback.store import accounts, limits
from ringback.store.accounts import Account
from ringback.store.limits import LimitsCache
from ringback.store.port import Store, Transaction
from ringback.store.schema import submissions
from ringback.store.wakeups import Wakeups
from tests.conformance.conftest import Database
from tests.fakes.acceptor import acceptor as make_acceptor
from tests.fakes.clock import FakeClock

S = 1_000_000
ACCOUNT = Account(AccountId("MA" + "A" * 18), "tests", True, None, ("token",), ("token",))
SENDERS = ("15005550101", "15005550102", "15005550103")


class Counting:
    """Ids that several acceptors never make twice."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self, now_us: int) -> str:
        self._last += 1
        return uuid7(now_us, self._last.to_bytes(8, "big"))


def acceptor(store: Store, clock: FakeClock, ids: Counting) -> Acceptor:
    return make_acceptor(
        store=store,
        clock=clock,
        new_id=ids,
        wakeups=Wakeups(),
        metrics=Metrics(),
        limits=LimitsCache(store, LimitsSettings()),
    )


def configure(tx: Transaction) -> None:
    accounts.create(tx, auth_id=ACCOUNT.auth_id, token="token", name="", now_us=1)
    limits.configure(tx, ACCOUNT.auth_id, {"messages_per_s": 5.0, "source_messages_per_s": 2.0})


async def test_rates_hold_over_any_window_and_each_sender_keeps_its_order(prepared: Database) -> None:
    clock, ids = FakeClock(), Counting()
    stores = [prepared.open() for _ in range(3)]
    sent: dict[str, list[str]] = {sender: [] for sender in SENDERS}

    async def send_all(process: Acceptor, sender: str) -> None:
        for _ in range(4):
            request = send.parse({"src": sender, "dst": "15005550001<15005550003", "text": "hello"})
            sent[sender] += await process.accept(ACCOUNT, request, requester_ip="")

    try:
        await stores[0].write(configure)
        for _ in range(2):
            # Each sender's messages go through one process, and through another one later.
            processes = [acceptor(store, clock, ids) for store in stores]
            await asyncio.gather(*map(send_all, processes, SENDERS))
            stores.append(stores.pop(0))
            clock.advance(1.3)
        rows = await stores[0].read(lambda tx: tx.execute(submissions.select()).all())
    finally:
        for store in stores:
            await store.close()
    due = {row.message_uuid: row.due_at_us for row in rows}
    assert len(due) == 48
    everything = sorted(due.values())
    # At most five within any second, and two of one sender.
    assert all(later - earlier >= S for earlier, later in zip(everything, everything[5:], strict=False))
    for uuids in sent.values():
        times = [due[uuid] for uuid in uuids]
        assert times == sorted(times)
        assert all(later - earlier >= S for earlier, later in zip(times, times[2:], strict=False))


async def test_accounts_without_a_limit_touch_no_calendar(store: Store) -> None:
    clock = FakeClock()
    await store.write(lambda tx: accounts.create(tx, auth_id=ACCOUNT.auth_id, token="token", name="", now_us=1))
    request = send.parse({"src": SENDERS[0], "dst": "15005550001<15005550003", "text": "hello"})
    await acceptor(store, clock, Counting()).accept(ACCOUNT, request, requester_ip="")
    rows = await store.read(lambda tx: tx.execute(submissions.select()).all())
    assert {row.due_at_us for row in rows} == {clock.now_us()}
    assert await store.read(lambda tx: tx.exec_driver_sql("SELECT count(*) FROM pacing").scalar_one()) == 0
