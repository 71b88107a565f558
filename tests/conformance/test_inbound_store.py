"""Inbound messages in the store: results, requests, replies, opt-outs and conversions, on every database."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from ringback.carriers.port import Inbound, Taken
from ringback.messaging import conversions as taking
from ringback.messaging.inbound import InboundTaker
from ringback.messaging.replies import ReplyExecutor
from ringback.messaging.screen import screen
from ringback.metrics import Metrics
from ringback.model.errors import NotFound, StoreUnavailable
from ringback.model.ids import AccountId
from ringback.model.message import Message
from ringback.settings import MessagingSettings
from ringback.store import (
    accounts,
    callbacks,
    conversions,
    inbound,
    messages,
    numbers,
    optouts,
    pruning,
    replies,
    resends,
    submissions,
)
from ringback.store.accounts import AccountCache
from ringback.store.callbacks import Outcome
from ringback.store.conversions import Conversion
from ringback.store.inbound import Request
from ringback.store.optouts import Said
from ringback.store.port import Store, Transaction
from ringback.store.replies import Part, Reply
from ringback.store.schema import inbound_results, opt_outs
from ringback.store.wakeups import Wakeups
from tests.fakes.acceptor import acceptor as make_acceptor
from tests.fakes.callbacks import take_due
from tests.fakes.clock import FakeClock
from tests.fakes.ids import counting_ids
from tests.fakes.messages import message, message_uuid
from tests.fakes.numbers import OURS, own_number

ACCOUNT = "MAAAAAAAAAAAAAAAAAAA"
PHONE = "14155550199"
REPLY = f'<Response><Message src="{OURS}" dst="{PHONE}">hi</Message></Response>'.encode()


class Node:
    """One process that takes inbound messages and executes replies; several may share a store and a clock."""

    def __init__(self, store: Store, clock: FakeClock, new_id: Any) -> None:
        wakeups, metrics, settings = Wakeups(), Metrics(), MessagingSettings()
        acceptor = make_acceptor(
            store=store, clock=clock, new_id=new_id, wakeups=wakeups, settings=settings, metrics=metrics
        )
        self.taker = InboundTaker(
            store=store, clock=clock, new_id=new_id, wakeups=wakeups, settings=settings,
            find_owner=numbers.owner, acceptor=acceptor, metrics=metrics,
        )  # fmt: skip
        self.executor = ReplyExecutor(
            store=store, clock=clock, new_id=new_id, wakeups=wakeups, accounts=AccountCache(store), acceptor=acceptor,
            response_cap_bytes=16_384, metrics=metrics,
        )  # fmt: skip

    async def take(self, text: str = "hello", ref: str | None = None, src: str = PHONE) -> str:
        answer = await self.taker.take(Inbound(connector="x", carrier_ref=ref, src=src, dst=OURS, text=text))
        assert isinstance(answer, Taken)
        return answer.message_uuid


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def node(store: Store, clock: FakeClock) -> Node:
    now_us = clock.now_us()
    await store.write(lambda tx: accounts.create(tx, auth_id=AccountId(ACCOUNT), token="t", name="test", now_us=now_us))
    await own_number(store, ACCOUNT, message_url="https://one.example/in")
    return Node(store, clock, counting_ids())


async def answer_callback(store: Store, clock: FakeClock, *, state: str = "delivered", body: bytes = REPLY) -> None:
    """End everything that is due, with one answer."""
    now_us = clock.now_us()

    def work(tx: Transaction) -> None:
        outcomes = []
        for due in take_due(tx, now_us=now_us, lease_until_us=now_us + 1):
            attempt = callbacks.Attempt(
                callback_id=due.id, number=due.attempts_made + 1, planned_at_us=now_us, started_at_us=now_us,
                duration_us=1, outcome="ok", http_status=200, request_headers="[]",
                response_headers='[["Content-Type", "application/xml"]]', response_body=body, error=None,
            )  # fmt: skip
            outcomes.append(
                Outcome(
                    callback=due, attempt=attempt, attempts_made=1, state=state, next_due_at_us=None,
                    recorded_at_us=now_us,
                )
            )  # fmt: skip
        callbacks.record(tx, outcomes)

    await store.write(work)


async def outbound(store: Store) -> list[Message]:
    wanted = messages.Filter(direction="outbound")
    return await store.read(lambda tx: messages.page(tx, wanted, limit=99, offset=0))


async def count(store: Store, table: sa.Table) -> int:
    return await store.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


# ---- results and replies ----


async def test_a_callback_that_ends_leaves_word_for_its_message_alone(
    store: Store, clock: FakeClock, node: Node
) -> None:
    uuid = await node.take()
    assert await node.executor.claim(9) == ([], None)
    await answer_callback(store, clock)
    (result,), _ = await node.executor.claim(9)
    assert (result.message_uuid, result.state, result.response_body) == (uuid, "delivered", REPLY)
    await node.executor.execute(result)
    found = await store.read(lambda tx: messages.find(tx, ACCOUNT, uuid))
    assert found is not None
    assert (found.status, found.sequence, found.final_at_us) == ("delivered", 2, clock.now_us())
    assert await count(store, inbound_results) == 0
    # The reply's message owes nobody a callback, and its own status callbacks would leave no result.
    assert [each.status for each in await outbound(store)] == ["queued"]


async def test_a_reply_is_executed_once_whoever_dies_or_sleeps(store: Store, clock: FakeClock, node: Node) -> None:
    other = Node(store, clock, counting_ids_from(5000))
    uuid = await node.take()
    await answer_callback(store, clock)
    (slow,), _ = await node.executor.claim(9)
    assert (await other.executor.claim(9))[0] == []
    clock.advance(31)
    (quick,), _ = await other.executor.claim(9)
    assert slow.lease_token != quick.lease_token
    await asyncio.gather(other.executor.execute(quick), other.executor.execute(quick), node.executor.execute(slow))
    assert len(await outbound(store)) == 1
    (reply,) = await store.read(lambda tx: replies.of_message(tx, uuid))
    assert [part.state for part in reply.parts] == ["accepted"]
    events = await store.read(lambda tx: messages.timeline(tx, uuid))
    assert [event.status for event in events] == ["received", "delivered"]


class Unsure:
    """A store whose next durable write is made, and said to have failed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_lost = True
        self.read = store.read
        self.background_batch = store.background_batch

    async def write(self, work: Callable[[Transaction], Any], *, durable: bool = True) -> Any:
        result = await self._store.write(work, durable=durable)
        if durable and self.is_lost:
            self.is_lost = False
            raise StoreUnavailable("the connection broke")
        return result


async def test_a_commit_that_nobody_heard_of_is_not_made_twice(store: Store, clock: FakeClock, node: Node) -> None:
    uuid = await node.take()
    await answer_callback(store, clock)
    unsure = Unsure(store)
    other = Node(unsure, clock, counting_ids_from(5000))  # type: ignore[arg-type]
    (result,), _ = await other.executor.claim(9)
    await other.executor.execute(result)
    assert not unsure.is_lost
    assert len(await outbound(store)) == 1
    assert len(await store.read(lambda tx: replies.of_message(tx, uuid))) == 1


async def test_two_results_of_one_message_in_one_batch_answer_once(store: Store, clock: FakeClock, node: Node) -> None:
    uuid = await node.take()
    await answer_callback(store, clock)
    (owed,) = await store.read(lambda tx: callbacks.owed_for(tx, [uuid]))
    now_us, new_id = clock.advance(1), counting_ids_from(9000)
    await store.write(lambda tx: resends.resend(tx, [owed.id], new_id=new_id, now_us=now_us))
    await answer_callback(store, clock)
    results, _ = await node.executor.claim(9)
    assert len(results) == 2
    await asyncio.gather(*map(node.executor.execute, results))
    states = [reply.state for reply in await store.read(lambda tx: replies.of_message(tx, uuid))]
    assert sorted(states) == ["executed", "repeated"]
    assert len(await outbound(store)) == 1
    events = await store.read(lambda tx: messages.timeline(tx, uuid))
    assert [(event.sequence, event.flag) for event in events] == [(1, ""), (2, ""), (2, "duplicate")]


async def test_a_given_up_callback_leaves_it_undelivered(store: Store, clock: FakeClock, node: Node) -> None:
    uuid = await node.take()
    await answer_callback(store, clock, state="given_up")
    (result,), _ = await node.executor.claim(9)
    await node.executor.execute(result)
    found = await store.read(lambda tx: messages.find(tx, ACCOUNT, uuid))
    assert found is not None
    assert found.status == "undelivered"
    # Whatever a refused callback was answered with is no reply.
    assert await outbound(store) == []
    assert await store.read(lambda tx: replies.of_message(tx, uuid)) == []


async def test_replies_are_kept_as_they_were(store: Store, clock: FakeClock) -> None:
    part = Part(element="Message", state="accepted", detail="é", message_uuids=("a", "b"), invalid=("x",))
    reply = Reply(callback_id="c", message_uuid=message_uuid(1), at_us=1, state="executed", detail=None, parts=(part,))
    await store.write(lambda tx: replies.add(tx, reply))
    assert await store.read(lambda tx: replies.of_callbacks(tx, ["c", "d"])) == {"c": reply}
    assert await store.read(lambda tx: replies.is_executed(tx, message_uuid(1)))
    assert not await store.read(lambda tx: replies.is_executed(tx, message_uuid(2)))


# ---- arrivals ----


async def test_one_offered_to_several_nodes_at_a_time_is_stored_once(
    store: Store, clock: FakeClock, node: Node
) -> None:
    other = Node(store, clock, counting_ids_from(5000))
    taken = await asyncio.gather(*(each.take(ref=str(n % 5)) for n in range(20) for each in (node, other)))
    assert len(set(taken)) == 5
    assert await store.read(lambda tx: messages.count(tx, messages.Filter())) == 5


async def test_characters_that_no_database_holds_are_replaced(store: Store, node: Node) -> None:
    uuid = await node.take("a\x00b\ud800c")
    found = await store.read(lambda tx: messages.find(tx, ACCOUNT, uuid))
    assert found is not None
    assert found.text == "a\ufffdb?c"


def counting_ids_from(start: int) -> Any:
    made = counting_ids()
    for _ in range(start):
        made(0)
    return made


# ---- requests ----


async def test_a_request_is_taken_up_by_one_and_again_when_that_one_dies(store: Store, clock: FakeClock) -> None:
    now_us = clock.now_us()
    asked = Request(
        id=message_uuid(1), src="1\ud800", dst="2", type="mms", text="x\x00", media_urls=("a b", "c"),
        requested_at_us=now_us,
    )  # fmt: skip
    await store.write(lambda tx: inbound.request(tx, asked))

    async def claim(token: str) -> list[Request]:
        at_us = clock.now_us()
        return await store.write(
            lambda tx: inbound.claim_requests(
                tx, now_us=at_us, lease_until_us=at_us + 10_000_000, lease_token=token, limit=9
            )
        )

    (first,) = await claim("a")
    assert (first.src, first.text, first.media_urls, first.is_answered) == ("1?", "x\ufffd", ("a b", "c"), False)
    assert await claim("b") == []
    clock.advance(10)
    (second,) = await claim("b")
    await store.write(lambda tx: inbound.answer_request(tx, first, refusal="too late"))
    await store.write(lambda tx: inbound.answer_request(tx, second, message_uuid=message_uuid(2)))
    found = await store.read(lambda tx: inbound.find_request(tx, asked.id))
    assert found is not None
    assert (found.message_uuid, found.refusal, found.text) == (message_uuid(2), None, None)
    clock.advance(100)
    assert await claim("c") == []


# ---- opt-outs ----


def said(intent: str, *, at_us: int = 1, recipient: str = PHONE, **fields: Any) -> Said:
    return Said(
        number=OURS, recipient=recipient, account_id=ACCOUNT, intent=intent, said_by="operator", at_us=at_us, **fields
    )


async def test_what_stands_follows_from_what_was_said(store: Store) -> None:
    changed = [
        await store.write(lambda tx, intent=intent: optouts.note(tx, said(intent)))
        for intent in ("optin", "help", "optout", "optout", "help", "optin")
    ]
    assert changed == [False, False, True, False, False, True]
    assert await count(store, opt_outs) == 0
    assert len(await store.read(lambda tx: optouts.history(tx, OURS, PHONE))) == 6


async def test_many_who_say_stop_at_a_time_opt_out_once(store: Store, clock: FakeClock, node: Node) -> None:
    other = Node(store, clock, counting_ids_from(5000))
    await asyncio.gather(*(each.take("STOP", src=f"1415555020{n % 3}") for n in range(9) for each in (node, other)))
    assert await count(store, opt_outs) == 3
    assert len(await outbound(store)) == 3


async def test_a_batch_is_screened_by_pairs_and_answers_to_keywords_pass(
    store: Store, clock: FakeClock, node: Node
) -> None:
    await node.take("STOP")
    rows = [
        {
            "message_uuid": message_uuid(at), "account_id": ACCOUNT, "src": src, "dst": dst, "text": "x",
            "attempts_made": 0, "expires_at_us": 2**62, "due_at_us": clock.now_us(), "lease_token": None,
        }
        for at, (src, dst) in enumerate([(OURS, PHONE), ("14155550101", PHONE), (OURS, "14155550198"), (OURS, PHONE)])
    ]  # fmt: skip

    def work(tx: Transaction) -> set[str]:
        submissions.add(tx, rows)
        leased = submissions.claim(tx, now_us=clock.now_us(), lease_until_us=2**62, lease_token="t", limit=99)
        assert len(leased) == 5
        refused = screen(tx, leased, now_us=clock.now_us())
        assert {refusal.error_code for refusal in refused.values()} == {"200"}
        return set(refused)

    assert await store.write(work) == {message_uuid(0), message_uuid(3)}


async def test_texts_are_an_accounts_own(store: Store) -> None:
    await store.write(lambda tx: optouts.set_texts(tx, ACCOUNT, {"optout": "Bye", "help": ""}))
    await store.write(lambda tx: optouts.set_texts(tx, ACCOUNT, {"optout": "Bye!", "optin": None}))
    assert await store.read(lambda tx: optouts.texts(tx, ACCOUNT)) == {"optout": "Bye!", "help": ""}
    await store.write(lambda tx: optouts.set_texts(tx, ACCOUNT, {"optout": None, "help": None}))
    assert await store.read(lambda tx: optouts.texts(tx, ACCOUNT)) == {}


# ---- conversions ----


async def test_two_words_at_a_time_come_one_after_the_other(store: Store) -> None:
    new = message(trackable=True)
    await store.write(lambda tx: messages.insert(tx, [new]))

    def word(status: str, at_us: int) -> Conversion:
        return Conversion(
            message_uuid=new.uuid, account_id=ACCOUNT, status=status, converted_at_us=at_us, recorded_at_us=9
        )

    new_id = counting_ids()
    record = partial(taking.record, new_id=new_id)
    news = await asyncio.gather(*(store.write(lambda tx: record(tx, word("CONVERTED", 5))) for _ in range(8)))
    assert sorted(news) == [False] * 7 + [True]
    assert await store.write(lambda tx: record(tx, word("CONVERTED", 6)))
    kept = await store.read(lambda tx: conversions.history(tx, new.uuid))
    assert [each.converted_at_us for each in kept] == [5, 6]
    flagged = await store.read(lambda tx: messages.timeline(tx, new.uuid))
    assert [(event.flag, event.status) for event in flagged] == [("conversion", "queued")] * 2
    with pytest.raises(NotFound):
        await store.write(
            lambda tx: record(tx, Conversion(
                message_uuid=new.uuid, account_id="MABBBBBBBBBBBBBBBBBB", status="CONVERTED", converted_at_us=1,
                recorded_at_us=1,
            ))
        )  # fmt: skip


# ---- retention ----


async def test_old_messages_go_with_what_was_said_about_them(store: Store, clock: FakeClock, node: Node) -> None:
    uuid = await node.take()
    await answer_callback(store, clock)
    later = {"before_us": clock.now_us() + 1, "after": pruning.BEGINNING, "limit": 9}
    kept = await store.write(lambda tx: pruning.prune_messages(tx, give_up_before_us=0, **later))
    # Its result is still to be taken.
    assert kept.messages == 0
    (result,), _ = await node.executor.claim(9)
    await node.executor.execute(result)
    clock.advance(1)
    await node.take()
    gone = await store.write(lambda tx: pruning.prune_messages(tx, give_up_before_us=0, **later))
    assert gone.messages == 1
    assert await store.read(lambda tx: replies.of_message(tx, uuid)) == []
    assert await store.read(lambda tx: messages.find(tx, None, uuid)) is None


async def test_a_result_of_a_message_that_is_gone_is_no_trouble(store: Store, clock: FakeClock, node: Node) -> None:
    uuid = await node.take()
    await answer_callback(store, clock)
    (result,), _ = await node.executor.claim(9)
    await store.write(lambda tx: tx.execute(sa.text("DELETE FROM messages WHERE uuid = :uuid"), {"uuid": uuid}))
    await node.executor.execute(result)
    assert await count(store, inbound_results) == 0
    assert await outbound(store) == []


async def test_requests_go_when_they_are_old(store: Store, clock: FakeClock) -> None:
    new_id = counting_ids()
    for _ in range(2):
        now_us = clock.now_us()
        asked = Request(id=new_id(now_us), src="1", dst="2", type="sms", text="", media_urls=(), requested_at_us=now_us)
        await store.write(lambda tx, asked=asked: inbound.request(tx, asked))
        clock.advance(10)
    before_us = clock.now_us() - 15_000_000
    removed = await store.write(lambda tx: pruning.prune_inbound_requests(tx, before_us=before_us, limit=9))
    assert removed == 1
