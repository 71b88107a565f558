"""Everybody who writes what must be neither lost nor doubled, with a database that is lost at that very COMMIT.

Whoever is told that nothing was stored does it again, as customers, carriers and providers do.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Literal

import msgspec
import pytest
import sqlalchemy as sa

from ringback.carriers.port import Inbound
from ringback.delivery import replay
from ringback.delivery.deliver import Deliverer
from ringback.delivery.http import Answer
from ringback.delivery.replay import Replayer
from ringback.delivery.request import Request
from ringback.dialect import send
from ringback.dialect.callbacks import FORM
from ringback.dialect.signatures import callback_headers
from ringback.messaging.inbound import InboundTaker
from ringback.messaging.receipts import ReceiptTaker
from ringback.messaging.submit import Submitter
from ringback.metrics import Metrics
from ringback.model.errors import OutcomeUnknown, StoreUnavailable
from ringback.model.ids import AccountId
from ringback.receiver.receive import Incoming, Receiver
from ringback.runtime import persist
from ringback.settings import DeliverySettings, MessagingSettings, SourceSettings
from ringback.store import accounts, numbers, postgres, resends
from ringback.store.accounts import AccountCache
from ringback.store.port import Store, Transaction
from ringback.store.resends import Filter
from ringback.store.schema import metadata
from ringback.store.wakeups import Wakeups
from tests.fakes.acceptor import acceptor as make_acceptor
from tests.fakes.clock import FakeClock
from tests.fakes.connector import ScriptedConnector, receipt
from tests.fakes.engine import Engine
from tests.fakes.ids import counting_ids
from tests.fakes.numbers import OURS, own_number
from tests.fakes.postgres import PostgresServer
from tests.fakes.proxy import CommitBreaker, commit_breaker

ACCOUNT = "MAAAAAAAAAAAAAAAAAAA"
URL = "https://one.example/status"
HOOK = "https://ours.example"
Trouble = Literal["before", "after", "unknown"]
Act = Callable[[], Awaitable[Any]]


class Troubled:
    """A store whose next durable write loses its connection at COMMIT; ``unknown``: nobody learns what became of it."""

    def __init__(self, store: Store, breaker: CommitBreaker) -> None:
        self._store = store
        self._breaker = breaker
        self.next: Trouble | None = None
        self.read = store.read
        self.background_batch = store.background_batch

    async def write(self, work: Callable[[Transaction], Any], *, durable: bool = True) -> Any:
        trouble = None
        if durable:
            trouble, self.next = self.next, None
        if trouble in ("before", "after"):
            self._breaker.break_next("before" if trouble == "before" else "after")
        result = await self._store.write(work, durable=durable)
        if trouble == "unknown":
            raise OutcomeUnknown("the connection broke")
        return result


class Desk:
    """All who write, over one store."""

    def __init__(self, store: Troubled, clock: FakeClock) -> None:
        shared: dict[str, Any] = {
            "store": store, "clock": clock, "new_id": counting_ids(), "wakeups": Wakeups(), "metrics": Metrics(),
        }  # fmt: skip
        self.store = store
        self.clock = clock
        self.shared = shared
        self.engine = Engine(store, clock)  # type: ignore[arg-type]
        self.connector = ScriptedConnector()
        self.acceptor = make_acceptor(**shared, max_waiting=9)
        self.submitter = Submitter(**shared, settings=MessagingSettings(), connector=self.connector)
        self.receipts = ReceiptTaker(**shared)
        self.accounts = AccountCache(store)  # type: ignore[arg-type]

    async def open_account(self) -> accounts.Account:
        now_us = self.clock.now_us()
        account_id = AccountId(ACCOUNT)
        await self.store.write(lambda tx: accounts.create(tx, auth_id=account_id, token="t", name="a", now_us=now_us))
        found: accounts.Account | None = await self.store.read(lambda tx: accounts.find(tx, account_id, now_us))
        assert found is not None
        return found

    async def accepting(self) -> Act:
        account = await self.open_account()
        request = send.parse({"src": "15005550100", "dst": "14155550123", "text": "hello", "url": URL})
        return lambda: self.acceptor.accept(account, request, requester_ip="203.0.113.7")

    async def submitting(self) -> Act:
        await (await self.accepting())()
        [turn], _ = await self.submitter.claim(9)
        return lambda: self.submitter.submit(turn)

    async def taking_a_receipt(self) -> Act:
        await (await self.submitting())()
        return lambda: self.receipts.take(receipt("ref-1"))

    async def taking_an_early_receipt(self) -> Act:
        return lambda: self.receipts.take(receipt("ref-1"))

    async def delivering(self) -> Act:
        await (await self.accepting())()
        deliverer = Deliverer(
            **self.shared, new_nonce=lambda: "1" * 20, accounts=self.accounts, http=Endpoint(),  # type: ignore[arg-type]
            settings=DeliverySettings(),
        )  # fmt: skip
        # Endpoints that work, then all others.
        [claimed] = [each for _ in range(2) for each in (await deliverer.claim(9))[0]]
        return lambda: deliverer.deliver(claimed)

    async def receiving(self) -> Act:
        receiver = Receiver(
            **self.shared, accounts=self.accounts, sources={"main": SourceSettings(tokens=("t",))},
            public_base_url=HOOK, max_waiting=9,
        )  # fmt: skip
        url = f"{HOOK}/hooks/main/status"
        params = [("MessageUUID", "m"), ("Status", "sent"), ("From", "1"), ("To", "2")]
        headers = callback_headers("POST", url, params, nonce_v2="1", nonce_v3="2", tokens=["t"], main_tokens=[])
        incoming = Incoming(
            source="main", method="POST", target="/hooks/main/status", origin=HOOK,
            headers=[*((name.lower(), value) for name, value in dict(headers).items()), ("content-type", FORM)],
            body=b"MessageUUID=m&Status=sent&From=1&To=2", peer="203.0.113.7",
        )  # fmt: skip
        return lambda: receiver.take(incoming)

    async def taking_a_message(self) -> Act:
        await self.open_account()
        await own_number(self.store, ACCOUNT, message_url=URL)  # type: ignore[arg-type]
        taker = InboundTaker(
            **self.shared, settings=MessagingSettings(), find_owner=numbers.owner, acceptor=self.acceptor
        )
        brought = Inbound(connector="x", carrier_ref="1", src="14155550199", dst=OURS, text="STOP")
        return lambda: taker.take(brought)

    async def replaying(self) -> Act:
        await self.engine.owe(1, 2, 3)
        await self.engine.give_up()
        await replay.start(
            self.store, Filter(), rate_per_s=40, account_id=None, new_id=self.shared["new_id"],  # type: ignore[arg-type]
            now_us=self.clock.now_us(),
        )  # fmt: skip
        return Replayer(**self.shared).step

    async def starting_a_replay(self) -> Act:
        await self.engine.owe(1)
        await self.engine.give_up()
        return lambda: replay.start(
            self.store, Filter(), rate_per_s=40, account_id=ACCOUNT, new_id=self.shared["new_id"],  # type: ignore[arg-type]
            now_us=self.clock.now_us(),
        )  # fmt: skip

    async def resending(self) -> Act:
        owed = await self.engine.owe(1)
        await self.engine.give_up()
        new_id, now_us = self.shared["new_id"], self.clock.now_us()
        return lambda: self.store.write(lambda tx: resends.resend(tx, owed, new_id=new_id, now_us=now_us))


class Endpoint:
    """Stands in for the HTTP client: takes every callback."""

    async def attempt(self, _: Request) -> Answer:
        return Answer(outcome="ok", http_status=200, duration_us=1)


class Kept(msgspec.Struct, frozen=True):
    """What a database holds, but for ids."""

    rows: dict[str, int]
    events: list[tuple[Any, ...]]
    totals: list[tuple[Any, ...]]
    states: list[tuple[Any, ...]]


def kept(tx: Transaction) -> Kept:
    def all_of(table: str, *columns: str) -> list[tuple[Any, ...]]:
        chosen = [metadata.tables[table].c[column] for column in columns]
        return sorted(tuple(row) for row in tx.execute(sa.select(*chosen)))

    return Kept(
        {
            table.name: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        },
        all_of("events", "sequence", "status", "flag"),
        all_of("rollups", "measure", "bucket", "total"),
        all_of("callbacks", "sequence", "state"),
    )


@pytest.fixture
def breaker(server: PostgresServer) -> Iterator[CommitBreaker]:
    with commit_breaker(server.port) as standing:
        yield standing


@pytest.fixture
async def new_desk(server: PostgresServer, shared: str, breaker: CommitBreaker) -> AsyncIterator[Callable[[], Desk]]:
    """Make desks over one database, each of which finds it empty."""
    store = postgres.open_store(f"postgresql://postgres@127.0.0.1:{breaker.port}/{shared}", busy_timeout_s=30)

    def make() -> Desk:
        server.execute("; ".join(f"DELETE FROM {table.name}" for table in metadata.tables.values()), database=shared)  # noqa: S608 - own names
        return Desk(Troubled(store, breaker), FakeClock())

    yield make
    await store.close()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a failed write be tried again at once."""
    defaults: Any = persist.__kwdefaults__
    monkeypatch.setitem(defaults, "pause_s", 0)


WRITERS = (
    Desk.accepting, Desk.submitting, Desk.taking_a_receipt, Desk.taking_an_early_receipt, Desk.delivering,
    Desk.receiving, Desk.taking_a_message, Desk.replaying, Desk.starting_a_replay, Desk.resending,
)  # fmt: skip
BEAR_REPETITION = (Desk.submitting, Desk.delivering, Desk.taking_a_message)
"""Whoever writes again after ``unknown``, or is told again, and leaves no trace of that."""


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(
    ("writer", "trouble"),
    [(writer, trouble) for writer in WRITERS for trouble in ("before", "after")]
    + [(writer, "unknown") for writer in BEAR_REPETITION],
    ids=lambda given: given if isinstance(given, str) else given.__name__,
)
async def test_nothing_is_lost_or_doubled(
    new_desk: Callable[[], Desk], breaker: CommitBreaker, writer: Callable[[Desk], Awaitable[Act]], trouble: Trouble
) -> None:
    spared = new_desk()
    await (await writer(spared))()
    expected = await spared.store.read(kept)
    troubled = new_desk()
    act = await writer(troubled)
    troubled.store.next = trouble
    [told] = await asyncio.gather(act(), return_exceptions=True)
    if isinstance(told, Exception):
        assert type(told) is {"before": StoreUnavailable, "unknown": OutcomeUnknown}.get(trouble), repr(told)
        await act()
    assert troubled.store.next is None
    assert breaker.has_broken
    assert await troubled.store.read(kept) == expected
    assert len(troubled.connector.submitted) == len(spared.connector.submitted)
