"""Parts of inbound messages on every driver: joined once, whoever brings the last one."""

import asyncio
import itertools
from functools import partial

import pytest

from ringback.carriers.port import Inbound, InboundAnswer, NotTaken, Part, Taken
from ringback.messaging.inbound import PARTS_WAIT_US
from ringback.store import inbound_parts, messages
from ringback.store.inbound_parts import Text
from ringback.store.port import Store
from tests.conformance.conftest import Database
from tests.conformance.test_inbound_store import PHONE, Node
from tests.fakes.clock import FakeClock
from tests.fakes.ids import counting_ids
from tests.fakes.numbers import OURS, own_number

ACCOUNT = "MAAAAAAAAAAAAAAAAAAA"
TEXTS = ("one, ", "two, ", "three")
TEXT = Text("smpp", PHONE, OURS, 7, 3)


def part(number: int, *, dst: str = OURS, reference: int = 7) -> Inbound:
    return Inbound(
        connector="smpp", carrier_ref=None, src=PHONE, dst=dst, text=TEXTS[number - 1], part=Part(reference, number, 3)
    )


async def bring(node: Node, inbound: Inbound) -> InboundAnswer:
    return await node.taker.take(inbound)


async def texts(store: Store) -> list[str | None]:
    found = await store.read(lambda tx: messages.page(tx, messages.Filter(account_id=ACCOUNT), limit=9, offset=0))
    return sorted((message.text for message in found), key=str)


@pytest.fixture
async def node(store: Store, clock: FakeClock) -> Node:
    await own_number(store, ACCOUNT)
    return Node(store, clock, counting_ids())


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
async def test_parts_are_joined_in_any_order(node: Node, store: Store, order: tuple[int, ...]) -> None:
    *first, last = order
    for number in first:
        assert await bring(node, part(number)) == Taken("")
        # Twice, as after an acknowledgement that was lost.
        assert await bring(node, part(number)) == Taken("")
    answer = await bring(node, part(last))
    assert isinstance(answer, Taken)
    assert answer.message_uuid
    assert await texts(store) == ["".join(TEXTS)]
    assert await store.read(inbound_parts.next_due_at_us) is None


async def test_all_parts_at_once_and_texts_side_by_side(node: Node, store: Store) -> None:
    await asyncio.gather(*(bring(node, part(number, reference=at)) for at in range(3) for number in (1, 2, 3)))
    assert await texts(store) == ["".join(TEXTS)] * 3


async def test_processes_that_get_a_part_each_make_one_message(prepared: Database) -> None:
    stores = [prepared.open() for _ in range(3)]
    clock = FakeClock()
    ids = counting_ids()
    nodes = [Node(store, clock, ids) for store in stores]
    await own_number(stores[0], ACCOUNT)
    for reference in range(5):
        answers = await asyncio.gather(
            *(bring(each, part(number, reference=reference)) for number, each in enumerate(nodes, 1))
        )
        assert sum(isinstance(answer, Taken) and bool(answer.message_uuid) for answer in answers) == 1
    assert await texts(stores[0]) == ["".join(TEXTS)] * 5
    for store in stores:
        await store.close()


async def test_what_has_come_is_taken_when_the_rest_does_not(node: Node, store: Store, clock: FakeClock) -> None:
    await bring(node, part(3))
    await bring(node, part(1))
    assert await node.taker._overdue(9) == ([], PARTS_WAIT_US / 1_000_000)
    clock.advance(PARTS_WAIT_US / 1_000_000)
    overdue, _ = await node.taker._overdue(9)
    assert overdue == [TEXT]
    await node.taker._take_what_came(TEXT)
    await node.taker._take_what_came(TEXT)
    assert await texts(store) == ["one, three"]
    assert await node.taker._overdue(9) == ([], None)


async def test_parts_to_nobody_are_refused_and_leave_nothing(node: Node, store: Store, clock: FakeClock) -> None:
    assert isinstance(await bring(node, part(1, dst="14155550999")), NotTaken)
    assert await store.read(inbound_parts.next_due_at_us) is None
    # Its number was taken from the account while it waited.
    text = Text("smpp", PHONE, "14155550999", 7, 3)
    await store.write(partial(inbound_parts.add, text=text, number=1, says="x", due_at_us=clock.now_us()))
    await node.taker._take_what_came(text)
    assert await store.read(inbound_parts.next_due_at_us) is None
    assert await texts(store) == []
