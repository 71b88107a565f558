"""What the SMPP server keeps, on every driver: parts joined once, owed things claimed once, logins apart."""

import asyncio
import itertools
from typing import Any

import pytest

from ringback.carriers.port import Part
from ringback.carriers.smpp.pdu import ShortMessage
from ringback.carriers.smpp.shape import Shape, shaped
from ringback.esme.logins import made
from ringback.esme.parts import WAIT_US, PartJoiner
from ringback.esme.reading import wanted
from ringback.metrics import Metrics
from ringback.model.errors import InsufficientCredit, InvalidRequest, NotFound
from ringback.model.ids import uuid7
from ringback.store import accounts, messages, smpp_binds, smpp_logins, smpp_owed, smpp_parts, submissions
from ringback.store.accounts import Account
from ringback.store.port import Store
from ringback.store.smpp_binds import Bind
from ringback.store.smpp_logins import Login
from ringback.store.smpp_owed import Owed
from ringback.store.wakeups import Wakeups
from tests.conformance.conftest import Database
from tests.fakes.acceptor import acceptor
from tests.fakes.clock import FakeClock
from tests.fakes.ids import counting_ids

ACCOUNT = "MAAAAAAAAAAAAAAAAAAA"
TEXT = "One, two and three parts are one message. " * 10
PARTS = shaped(uuid="text", src="Ringback", dst="15005550001", text=TEXT, shape=Shape(concatenation="sar"))
NEW_ID = counting_ids()


def login_of(system_id: str = "acme", account_id: str = ACCOUNT, **more: Any) -> Login:
    return made(system_id, account_id, "secret", now_us=1_000_000, new_id=NEW_ID, salt=bytes(16), **more)


@pytest.fixture
async def login(store: Store) -> Login:
    return await first_login(store)


async def first_login(store: Store) -> Login:
    made_one = login_of()

    def work(tx: Any) -> None:
        accounts.create(tx, auth_id=ACCOUNT, token="token", name="test", now_us=0)  # type: ignore[arg-type]
        smpp_logins.add(tx, made_one)

    await store.write(work)
    return made_one


class Node:
    """What one process has."""

    def __init__(self, store: Store, clock: FakeClock, login: Login) -> None:
        self.store, self.clock, self.login = store, clock, login
        wakeups = Wakeups()
        self.joiner = PartJoiner(
            store=store,
            clock=clock,
            new_id=NEW_ID,
            wakeups=wakeups,
            acceptor=acceptor(store=store, clock=clock, new_id=NEW_ID, wakeups=wakeups, metrics=Metrics()),
            max_waiting=100,
        )

    async def take(self, body: ShortMessage) -> str:
        account = await self.store.read(lambda tx: accounts.find(tx, ACCOUNT, 0))
        assert isinstance(account, Account)
        found = wanted(body, self.login, default="gsm", now_us=self.clock.now_us())
        assert isinstance(found.part, Part)
        return await self.joiner.take(self.login, account, found, found.part, address="192.0.2.1")

    async def all(self) -> list[messages.Message]:
        return await self.store.read(
            lambda tx: messages.page(tx, messages.Filter(account_id=ACCOUNT), limit=9, offset=0)
        )

    async def owed(self) -> dict[str, int]:
        return await self.store.read(smpp_owed.waiting)


@pytest.fixture
def node(store: Store, clock: FakeClock, login: Login) -> Node:
    return Node(store, clock, login)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_parts_are_joined_in_any_order(node: Node, order: tuple[int, ...]) -> None:
    *first, last = order
    names = {}
    for number in first:
        names[number] = await node.take(PARTS[number])
        # Again, as after an answer that was lost.
        assert await node.take(PARTS[number]) == names[number]
        assert await node.all() == []
    names[last] = await node.take(PARTS[last])
    (message,) = await node.all()
    assert names == {number: f"{message.uuid}-{number + 1}" for number in range(3)}
    assert (message.text, message.status, message.receipts_asked) == (TEXT, "queued", f"{node.login.id}:1,1,1")
    assert await node.store.read(submissions.waiting) == 1
    assert await node.store.read(smpp_parts.next_due_at_us) is None


async def test_parts_that_come_at_once_to_several_processes(prepared: Database, clock: FakeClock) -> None:
    stores = [prepared.open() for _ in range(2)]
    try:
        login = await first_login(stores[0])
        nodes = [Node(store, clock, login) for store in stores]
        names = await asyncio.gather(*(nodes[at % 2].take(part) for at, part in enumerate(PARTS)))
        (message,) = await nodes[0].all()
    finally:
        for store in stores:
            await store.close()
    assert (message.text, sorted(names)) == (TEXT, [f"{message.uuid}-{number}" for number in (1, 2, 3)])


async def test_a_text_whose_parts_do_not_come_fails_and_somebody_is_told(node: Node, clock: FakeClock) -> None:
    name = await node.take(PARTS[1])
    worker = node.joiner.worker()
    assert await node.joiner._overdue(9) == ([], WAIT_US / 1_000_000)
    clock.advance(WAIT_US / 1_000_000)
    (text,), _ = await node.joiner._overdue(9)
    # Twice, as when two processes have found it.
    await asyncio.gather(node.joiner._end(text), node.joiner._end(text))
    worker.stop()
    (message,) = await node.all()
    assert (message.status, message.error_code, name) == ("failed", "420", f"{message.uuid}-2")
    assert await node.owed() == {node.login.id: 1}
    assert await node.store.read(submissions.waiting) == 0
    assert await node.store.read(smpp_parts.next_due_at_us) is None


async def test_a_reference_that_is_used_for_another_text_gives_up_the_first(node: Node) -> None:
    first = await node.take(PARTS[0])
    others = shaped(uuid="text", src="Ringback", dst="15005550001", text=TEXT.upper(), shape=Shape(concatenation="sar"))
    names = [await node.take(part) for part in others]
    by_status = {message.status: message for message in await node.all()}
    assert {status: message.text for status, message in by_status.items()} == {
        "failed": TEXT[: len(PARTS[0].short_message)],
        "queued": TEXT.upper(),
    }
    assert first == f"{by_status['failed'].uuid}-1"
    assert names == [f"{by_status['queued'].uuid}-{number}" for number in (1, 2, 3)]


async def test_a_last_part_that_is_refused_leaves_the_others_where_they_are(node: Node) -> None:
    await node.take(PARTS[0])
    await node.take(PARTS[1])
    broke = Account(ACCOUNT, "", True, None, (), (), refused_until_us=2**60)
    found = wanted(PARTS[2], node.login, default="gsm", now_us=node.clock.now_us())
    assert found.part is not None
    with pytest.raises(InsufficientCredit):
        await node.joiner.take(node.login, broke, found, found.part, address="")
    assert await node.all() == []
    await node.take(PARTS[2])
    assert [message.text for message in await node.all()] == [TEXT]


async def test_a_text_that_is_too_long_as_a_whole_still_has_an_end(node: Node, clock: FakeClock) -> None:
    long = shaped(uuid="long", src="Ringback", dst="15005550001", text="x" * 3000, shape=Shape(concatenation="sar"))
    *first, last = long
    for part in first:
        await node.take(part)
    with pytest.raises(InvalidRequest):
        await node.take(last)
    clock.advance(WAIT_US / 1_000_000)
    (text,), _ = await node.joiner._overdue(9)
    await node.joiner._end(text)
    (message,) = await node.all()
    assert (message.status, await node.owed()) == ("failed", {node.login.id: len(first)})


def owed(login_id: str, number: int, due_at_us: int = 0) -> Owed:
    return Owed(
        id=f"id-{number:03}", login_id=login_id, message_uuid="m", kind="receipt", content="{}", due_at_us=due_at_us
    )


async def test_what_is_owed_is_claimed_by_one_and_only_for_the_login(store: Store) -> None:
    rows = [owed("one", 1), owed("one", 2), owed("one", 3, due_at_us=50), owed("two", 4)]
    await store.write(lambda tx: smpp_owed.add(tx, rows))
    assert await store.read(lambda tx: smpp_owed.next_due_at_us(tx, ["one", "three"])) == {"one": 0}

    def claim(token: str, now_us: int, **limits: int) -> Any:
        return store.write(
            lambda tx: smpp_owed.claim(tx, limits, now_us=now_us, lease_until_us=now_us + 100, token=token)
        )

    assert [each.id for each in await claim("a", 10, one=1)] == ["id-001"]
    held = await claim("b", 10, one=9, three=9)
    assert [each.id for each in held] == ["id-002"]
    # After its lease somebody else has it, and the first one changes nothing any more.
    again = await claim("c", 200, one=9)
    assert [each.id for each in again] == ["id-003", "id-001", "id-002"]
    assert await store.write(lambda tx: smpp_owed.held(tx, held)) == [False]
    assert await store.write(lambda tx: smpp_owed.held(tx, again)) == [True] * 3
    await store.write(lambda tx: smpp_owed.put_back(tx, [(again[0], 500), (again[1], 600)]))
    await store.write(lambda tx: smpp_owed.finish(tx, [again[2].id]))
    assert await store.read(smpp_owed.waiting) == {"one": 2, "two": 1}
    (back,) = await claim("d", 500, one=9)
    assert (back.id, back.attempts_made) == ("id-003", 1)


async def test_what_nobody_has_fetched_for_long_is_removed(store: Store) -> None:
    rows = [
        Owed(id=uuid7(at_us, bytes(8)), login_id="one", message_uuid="m", kind="receipt", content="{}", due_at_us=at_us)
        for at_us in (1_000_000, 2_000_000, 3_000_000)
    ]
    await store.write(lambda tx: smpp_owed.add(tx, rows))
    assert await store.write(lambda tx: smpp_owed.prune(tx, before_us=3_000_000, limit=9)) == 2
    assert await store.read(lambda tx: smpp_owed.next_due_at_us(tx, ["one"])) == {"one": 3_000_000}


async def test_logins_have_one_name_each_and_take_what_they_are_owed_along(store: Store, login: Login) -> None:
    with pytest.raises(InvalidRequest, match="taken"):
        await store.write(lambda tx: smpp_logins.add(tx, login_of()))
    with pytest.raises(NotFound):
        await store.write(lambda tx: smpp_logins.add(tx, login_of("other", "MAZZZZZZZZZZZZZZZZZZ")))
    await store.write(lambda tx: smpp_logins.add(tx, login_of("inbound", takes_inbound=True)))
    taking = await store.read(lambda tx: smpp_logins.taking_inbound(tx, [ACCOUNT]))
    assert [len(ids) for ids in taking.values()] == [1]
    await store.write(lambda tx: smpp_owed.add(tx, [owed(login.id, 1)]))
    assert await store.write(lambda tx: smpp_logins.remove(tx, "acme")) == 1
    assert await store.read(lambda tx: smpp_logins.find(tx, "acme")) is None
    # One of the same name is another one: it is not told what the first was owed.
    after = login_of()
    await store.write(lambda tx: smpp_logins.add(tx, after))
    assert after.id != login.id
    assert await store.read(smpp_owed.waiting) == {}


async def test_binds_are_those_that_processes_have_said_lately(store: Store) -> None:
    def bind(node: str, number: int) -> Bind:
        return Bind(
            node=node, number=number, system_id="acme", account_id=ACCOUNT, kind="receiver", address="", since_us=0
        )

    await store.write(lambda tx: smpp_binds.note(tx, "a", [bind("a", 1), bind("a", 2)], now_us=0))
    await store.write(lambda tx: smpp_binds.note(tx, "b", [bind("b", 1)], now_us=8_000_000))
    assert len(await store.read(lambda tx: smpp_binds.now(tx, 9_000_000))) == 3
    assert await store.read(lambda tx: smpp_binds.elsewhere(tx, "b", ACCOUNT, 9_000_000)) == 2
    assert await store.read(lambda tx: smpp_binds.elsewhere(tx, "b", ACCOUNT, 11_000_000)) == 0
    await store.write(lambda tx: smpp_binds.note(tx, "b", [], now_us=12_000_000))
    assert await store.read(lambda tx: smpp_binds.now(tx, 12_000_000)) == []
