"""The life of a message over a real database: taken in, handed to a carrier, reported on."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.carriers.port import Accepted, Deferred, Receipt, Rejected, SubmitOutcome
from ringback.dialect import send
from ringback.messaging.accept import KEEPS_TEXT
from ringback.messaging.receipts import ReceiptTaker
from ringback.messaging.submit import Submitter, Turn
from ringback.metrics import Metrics
from ringback.model.errors import ShuttingDown, StoreUnavailable
from ringback.model.ids import AccountId
from ringback.model.message import Event, Message
from ringback.model.status import NEXT, Status
from ringback.runtime import Clock, Worker, persist
from ringback.settings import MessagingSettings
from ringback.store import callbacks, messages, rollups, submissions
from ringback.store.accounts import Account
from ringback.store.port import Store, Transaction
from ringback.store.rollups import Summary
from ringback.store.schema import metadata
from ringback.store.sqlite import open_store
from ringback.store.wakeups import Wakeups
from tests.fakes.acceptor import acceptor as make_acceptor
from tests.fakes.clock import FakeClock
from tests.fakes.connector import ScriptedConnector, receipt
from tests.fakes.ids import counting_ids

T = TypeVar("T")
Failure = Literal["away", "rolled_back", "answer_lost"]
Tables = dict[str, list[tuple[Any, ...]]]

ACCOUNT = Account(AccountId("MAAAAAAAAAAAAAAAAAAA"), "tests", True, None, ("token",), ("token",))
URL = "http://127.0.0.1:9/status"
TEXT = "a text found nowhere else"
LEASE_S = MessagingSettings().submit_lease_s
REJECTED = Rejected(error_code="50", detail="no such number")
DELIVERED = receipt("ref-1")
UNDELIVERED = receipt("ref-1", Status.UNDELIVERED, "30")


class FailingStore:
    """A store whose next write fails when told: before it begins, at its end, or after its commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.writes = 0
        self.background_batch = store.background_batch
        self.fail_next: Failure | None = None

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        self.writes += 1
        failure, self.fail_next = self.fail_next, None
        if failure == "away":
            raise StoreUnavailable("away")

        def work_and_fail(tx: Transaction) -> T:
            work(tx)
            raise StoreUnavailable("full")

        result = await self._store.write(work_and_fail if failure == "rolled_back" else work, durable=durable)
        if failure == "answer_lost":
            raise StoreUnavailable("committed, but nobody was told")
        return result

    async def read(self, work: Callable[[Transaction], T]) -> T:
        return await self._store.read(work)

    async def clock_ahead_us(self, clock: Clock) -> int:
        return await self._store.clock_ahead_us(clock)

    def watch(self, wakeups: Wakeups) -> Worker:
        return self._store.watch(wakeups)

    async def close(self) -> None:
        await self._store.close()


class Messaging:
    """The messaging package between a scripted carrier and a database."""

    def __init__(self, directory: Path) -> None:
        self.store = FailingStore(open_store(directory, busy_timeout_s=30))
        self.clock = FakeClock()
        self.connector = ScriptedConnector()
        shared: dict[str, Any] = {
            "store": self.store,
            "clock": self.clock,
            "new_id": counting_ids(),
            "wakeups": Wakeups(),
            "metrics": Metrics(),
        }
        outbound = MessagingSettings()
        self.acceptor = make_acceptor(**shared, settings=outbound)
        self.submitter = Submitter(**shared, settings=outbound, connector=self.connector)
        self.take = ReceiptTaker(**shared).take

    async def accept(self, **fields: Any) -> list[str]:
        """Accept a request: one destination and a callback URL unless told otherwise."""
        request = send.parse({"src": "15005550100", "dst": "14155550123", "text": TEXT, "url": URL, **fields})
        return await self.acceptor.accept(ACCOUNT, request, requester_ip="203.0.113.7")

    async def claim(self, limit: int = 100) -> list[Turn]:
        """Lease what is due."""
        claimed, _ = await self.submitter.claim(limit)
        return list(claimed)

    async def submit(self, *outcomes: SubmitOutcome) -> None:
        """Hand over what is due; the carrier answers as told, then accepts."""
        self.connector.outcomes.extend(outcomes)
        await asyncio.gather(*map(self.submitter.submit, await self.claim()))

    async def sent(self, **fields: Any) -> str:
        """Bring a message as far as ``sent``, under ``ref-1`` when it is the first; gives its uuid."""
        [uuid] = await self.accept(**fields)
        await self.submit()
        return uuid

    async def message(self, uuid: str) -> Message:
        return (await self.store.read(lambda tx: messages.by_uuid(tx, [uuid])))[uuid]

    async def timeline(self, uuid: str) -> list[Event]:
        return await self.store.read(lambda tx: messages.timeline(tx, uuid))

    async def history(self, uuid: str) -> list[tuple[int, str, str]]:
        """Give sequence, status and flag of a message's events."""
        return [(event.sequence, event.status, event.flag) for event in await self.timeline(uuid)]

    async def owed(self, uuid: str) -> list[tuple[int, str]]:
        """Give sequence and status of a message's callbacks, as their receiver will read them."""
        found = await self.store.read(lambda tx: callbacks.owed_for(tx, [uuid]))
        said = [dict(json.loads(callback.params)) for callback in found]
        assert [str(callback.sequence) for callback in found] == [params["Sequence"] for params in said]
        return [(int(params["Sequence"]), params["Status"]) for params in said]

    async def waiting(self) -> int:
        return await self.store.read(submissions.waiting)

    async def counts(self) -> Summary:
        return await self.store.read(lambda tx: rollups.summary(tx, since_us=0))

    async def rows(self, table: str) -> list[Any]:
        return await self.store.read(lambda tx: list(tx.execute(sa.select(metadata.tables[table]))))

    async def tables(self, *, without: str = "") -> Tables:
        """Give all that is stored, to see what has changed."""
        names = [name for name in metadata.tables if name != without]
        return {name: [tuple(row) for row in await self.rows(name)] for name in names}


@pytest.fixture
async def sms(tmp_path: Path) -> AsyncIterator[Messaging]:
    messaging = Messaging(tmp_path)
    yield messaging
    await messaging.store.close()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a failed write be tried again at once."""
    defaults: Any = persist.__kwdefaults__
    monkeypatch.setitem(defaults, "pause_s", 0)


# --- taking in


async def test_a_message_and_all_that_follows_from_it_are_one_commit(sms: Messaging) -> None:
    [uuid] = await sms.accept()
    assert sms.store.writes == 1
    message = await sms.message(uuid)
    assert (message.status, message.sequence, message.queued_at_us) == ("queued", 1, sms.clock.now_us())
    assert (message.country, message.rate, message.requester_ip) == ("US", "0.00550", "203.0.113.7")
    assert await sms.history(uuid) == [(1, "queued", "")]
    assert await sms.owed(uuid) == [(1, "queued")]
    [submission] = await sms.rows("submissions")
    assert (submission.message_uuid, submission.text, submission.attempts_made) == (uuid, TEXT, 0)
    assert (submission.due_at_us, submission.expires_at_us) == (sms.clock.now_us(), sms.clock.now_us() + 10_800_000_000)
    assert (await sms.counts()).by_status == {"queued": 1}


async def test_each_destination_is_a_message_in_the_order_given(sms: Messaging) -> None:
    numbers = ["14155550125", "14155550123", "14155550124"]
    uuids = await sms.accept(dst="<".join(numbers))
    assert [(await sms.message(uuid)).dst for uuid in uuids] == numbers
    assert uuids == sorted(set(uuids))
    assert [await sms.owed(uuid) for uuid in uuids] == [[(1, "queued")]] * 3
    assert (await sms.waiting(), (await sms.counts()).by_status, sms.store.writes) == (3, {"queued": 3}, 1)


async def test_requests_that_come_together_share_a_commit(sms: Messaging) -> None:
    accepted = await asyncio.gather(*(sms.accept(dst=f"1415555012{last}") for last in range(5)))
    assert [(await sms.message(uuid)).dst[-1] for [uuid] in accepted] == list("01234")
    assert (await sms.waiting(), sms.store.writes) == (5, 1)


async def test_without_a_url_no_callback_is_owed_ever(sms: Messaging) -> None:
    uuid = await sms.sent(url=None)
    await sms.take(DELIVERED)
    assert (await sms.message(uuid)).status == "delivered"
    assert (await sms.owed(uuid), await sms.rows("callback_queue")) == ([], [])


async def test_draining_refuses_and_stores_nothing(sms: Messaging) -> None:
    sms.acceptor.stop()
    with pytest.raises(ShuttingDown):
        await sms.accept()
    assert (await sms.rows("messages"), await sms.waiting(), sms.store.writes) == ([], 0, 0)


async def test_what_already_waits_when_draining_begins_is_stored(sms: Messaging) -> None:
    accepting = asyncio.create_task(sms.accept())
    await asyncio.sleep(0)
    sms.acceptor.stop()
    [uuid] = await accepting
    assert (await sms.message(uuid)).status == "queued"


@pytest.mark.parametrize("failure", ["away", "rolled_back"])
async def test_what_the_store_did_not_take_left_nothing(sms: Messaging, failure: Failure) -> None:
    before = await sms.tables()
    sms.store.fail_next = failure
    with pytest.raises(StoreUnavailable):
        await sms.accept()
    assert await sms.tables() == before
    await sms.accept()
    assert await sms.waiting() == 1


@pytest.mark.parametrize("log", send.LOG_MODES)
async def test_once_submitted_a_text_is_kept_only_where_log_says_so(sms: Messaging, log: str) -> None:
    uuid = await sms.sent(log=log)
    await sms.take(DELIVERED)
    assert [message.text for message in sms.connector.submitted] == [TEXT]
    assert (await sms.message(uuid)).text == (TEXT if log in KEEPS_TEXT else None)
    holding = [name for name, rows in (await sms.tables()).items() if TEXT in str(rows)]
    assert holding == (["messages"] if log in {"true", "content_only"} else [])


# --- handing over


async def test_accepted_is_sent(sms: Messaging) -> None:
    [uuid] = await sms.accept()
    now_us = sms.clock.advance(2)
    await sms.submit()
    message = await sms.message(uuid)
    assert (message.status, message.sequence, message.sent_at_us) == ("sent", 2, now_us)
    assert (message.connector, message.carrier_ref) == ("scripted", "ref-1")
    assert (message.mcc, message.mnc, message.network) == ("310", "004", "Example")
    assert (message.error_code, message.final_at_us) == (None, None)
    assert await sms.history(uuid) == [(1, "queued", ""), (2, "sent", "")]
    assert await sms.owed(uuid) == [(1, "queued"), (2, "sent")]
    assert (await sms.waiting(), (await sms.counts()).by_status) == (0, {"sent": 1})


async def test_rejected_is_failed_for_good(sms: Messaging) -> None:
    [uuid] = await sms.accept()
    now_us = sms.clock.advance(2)
    await sms.submit(REJECTED)
    message = await sms.message(uuid)
    assert (message.status, message.error_code, message.final_at_us) == ("failed", "50", now_us)
    assert (message.sent_at_us, message.carrier_ref) == (None, None)
    last = (await sms.timeline(uuid))[-1]
    assert (last.sequence, last.error_code, last.detail) == (2, "50", "no such number")
    assert await sms.owed(uuid) == [(1, "queued"), (2, "failed")]
    counts = await sms.counts()
    assert (counts.by_status, counts.by_error) == ({"failed": 1}, {"50": 1})
    sms.clock.advance(86_400)
    assert (await sms.waiting(), await sms.claim()) == (0, [])


async def test_deferred_only_waits(sms: Messaging) -> None:
    [uuid] = await sms.accept()
    before = await sms.tables(without="submissions")
    await sms.submit(Deferred(retry_after_s=5, detail="throttled"))
    assert await sms.tables(without="submissions") == before
    [submission] = await sms.rows("submissions")
    assert (submission.attempts_made, submission.lease_token) == (1, None)
    assert await sms.submitter.claim(1) == ([], 5)
    sms.clock.advance(5)
    await sms.submit()
    assert await sms.history(uuid) == [(1, "queued", ""), (2, "sent", "")]
    assert (await sms.waiting(), len(sms.connector.submitted)) == (0, 2)


@pytest.mark.parametrize("deferred", [False, True])
async def test_expired_is_failed_unseen_by_the_connector(sms: Messaging, *, deferred: bool) -> None:
    [uuid] = await sms.accept(message_expiry=30)
    if deferred:
        await sms.submit(Deferred(retry_after_s=30, detail="throttled"))
    seen = len(sms.connector.submitted)
    sms.clock.advance(30)
    await sms.submit()
    message = await sms.message(uuid)
    assert (message.status, message.error_code, message.final_at_us) == ("failed", "420", sms.clock.now_us())
    assert await sms.owed(uuid) == [(1, "queued"), (2, "failed")]
    assert (await sms.waiting(), len(sms.connector.submitted)) == (0, seen)


async def test_just_before_its_expiry_a_message_is_sent(sms: Messaging) -> None:
    [uuid] = await sms.accept(message_expiry=30)
    sms.clock.advance(29.999999)
    await sms.submit()
    assert (await sms.message(uuid)).status == "sent"


@pytest.mark.parametrize("outcome", [Accepted(carrier_refs=("stale",)), REJECTED, Deferred(retry_after_s=1, detail="")])
@pytest.mark.parametrize("finished", [False, True], ids=["claimed", "finished"])
async def test_who_lost_a_lease_to_another_changes_nothing(
    sms: Messaging, outcome: SubmitOutcome, *, finished: bool
) -> None:
    [uuid] = await sms.accept()
    [slow] = await sms.claim()
    sms.clock.advance(LEASE_S)
    [quick] = await sms.claim()
    if finished:
        await sms.submitter.submit(quick)
    before = await sms.tables()
    sms.connector.outcomes.append(outcome)
    await sms.submitter.submit(slow)
    assert await sms.tables() == before
    if not finished:
        await sms.submitter.submit(quick)
    assert await sms.history(uuid) == [(1, "queued", ""), (2, "sent", "")]
    assert (await sms.message(uuid)).carrier_ref != "stale"


@pytest.mark.parametrize("outcome", [Accepted(carrier_refs=("stale",)), REJECTED, Deferred(retry_after_s=1, detail="")])
async def test_a_lost_lease_answered_together_with_the_one_that_holds_changes_nothing(
    sms: Messaging, outcome: SubmitOutcome
) -> None:
    [uuid] = await sms.accept()
    [slow] = await sms.claim()
    sms.clock.advance(LEASE_S)
    [quick] = await sms.claim()
    sms.connector.outcomes += [outcome, Accepted(carrier_refs=("fresh",))]
    await asyncio.gather(sms.submitter.submit(slow), sms.submitter.submit(quick))
    assert (await sms.message(uuid)).carrier_ref == "fresh"
    assert await sms.history(uuid) == [(1, "queued", ""), (2, "sent", "")]
    assert await sms.owed(uuid) == [(1, "queued"), (2, "sent")]
    assert (await sms.waiting(), (await sms.counts()).by_status) == (0, {"sent": 1})


async def test_a_late_answer_counts_while_nobody_else_has_the_lease(sms: Messaging) -> None:
    [uuid] = await sms.accept()
    [slow] = await sms.claim()
    sms.clock.advance(LEASE_S)
    await sms.submitter.submit(slow)
    assert (await sms.message(uuid)).status == "sent"
    assert await sms.claim() == []


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("failure", ["away", "rolled_back", "answer_lost"])
async def test_an_answer_outlives_a_failing_store(sms: Messaging, failure: Failure) -> None:
    [uuid] = await sms.accept()
    [claimed] = await sms.claim()
    sms.store.fail_next = failure
    await sms.submitter.submit(claimed)
    assert await sms.history(uuid) == [(1, "queued", ""), (2, "sent", "")]
    assert await sms.owed(uuid) == [(1, "queued"), (2, "sent")]
    assert (await sms.waiting(), (await sms.counts()).by_status) == (0, {"sent": 1})
    assert len(sms.connector.submitted) == 1


async def test_answers_that_come_together_share_a_commit(sms: Messaging) -> None:
    uuids = await sms.accept(dst="14155550123<14155550124<14155550125")
    await sms.submit(REJECTED, Deferred(retry_after_s=1, detail="throttled"))
    assert sms.store.writes == 3
    assert [(await sms.message(uuid)).status for uuid in uuids] == ["failed", "queued", "sent"]
    assert (await sms.counts()).by_status == {"failed": 1, "queued": 1, "sent": 1}


async def test_after_a_restart_the_connector_learns_what_is_unreported(sms: Messaging) -> None:
    uuids = await sms.accept(dst="14155550123<14155550124<14155550125")
    await sms.submit(REJECTED)
    await sms.take(receipt("ref-2"))
    await sms.submitter.resume()
    [awaiting] = sms.connector.resumed
    assert (awaiting.message_uuid, awaiting.dst, awaiting.carrier_ref) == (uuids[2], "14155550125", "ref-3")


# --- receipts


@pytest.mark.parametrize("said", [DELIVERED, UNDELIVERED], ids=lambda said: said.status.value)
async def test_a_receipt_ends_a_message(sms: Messaging, said: Receipt) -> None:
    uuid = await sms.sent()
    sent_at_us = sms.clock.now_us()
    now_us = sms.clock.advance(3)
    await sms.take(said)
    message = await sms.message(uuid)
    assert (message.status, message.error_code, message.final_at_us) == (said.status, said.error_code, now_us)
    assert (message.carrier_ref, message.sent_at_us) == ("ref-1", sent_at_us)
    last = (await sms.timeline(uuid))[-1]
    assert (last.sequence, last.error_code, last.detail) == (3, said.error_code, said.detail)
    assert await sms.owed(uuid) == [(1, "queued"), (2, "sent"), (3, said.status)]
    counts = await sms.counts()
    assert counts.by_status == {said.status.value: 1}
    assert counts.by_error == ({"30": 1} if said is UNDELIVERED else {})
    assert sum(counts.delivery_latency.values()) == (said is DELIVERED)


@pytest.mark.parametrize(
    ("first", "second", "flag"),
    [
        (DELIVERED, DELIVERED, "duplicate"),
        (UNDELIVERED, UNDELIVERED, "duplicate"),
        (DELIVERED, UNDELIVERED, "late"),
        (UNDELIVERED, DELIVERED, "late"),
    ],
)
async def test_a_second_receipt_is_flagged_and_changes_nothing(
    sms: Messaging, first: Receipt, second: Receipt, flag: str
) -> None:
    uuid = await sms.sent()
    await sms.take(first)
    before = await sms.tables(without="events")
    sms.clock.advance(1)
    await sms.take(second)
    assert await sms.tables(without="events") == before
    *_, last = await sms.timeline(uuid)
    assert (last.sequence, last.status, last.flag) == (3, second.status, flag)
    assert (last.error_code, last.at_us) == (second.error_code, sms.clock.now_us())


async def test_of_receipts_that_come_together_the_first_counts(sms: Messaging) -> None:
    uuid = await sms.sent()
    await asyncio.gather(*map(sms.take, (UNDELIVERED, DELIVERED, UNDELIVERED)))
    assert (await sms.history(uuid))[2:] == [
        (3, "undelivered", ""),
        (3, "delivered", "late"),
        (3, "undelivered", "duplicate"),
    ]
    assert await sms.owed(uuid) == [(1, "queued"), (2, "sent"), (3, "undelivered")]
    assert (await sms.counts()).by_status == {"undelivered": 1}


async def test_an_early_receipt_waits_and_follows_sent(sms: Messaging) -> None:
    [uuid] = await sms.accept()
    await sms.take(DELIVERED)
    assert await sms.history(uuid) == [(1, "queued", "")]
    sent_at_us = sms.clock.advance(2)
    await sms.submit()
    assert await sms.history(uuid) == [(1, "queued", ""), (2, "sent", ""), (3, "delivered", "")]
    assert await sms.owed(uuid) == [(1, "queued"), (2, "sent"), (3, "delivered")]
    message = await sms.message(uuid)
    assert (message.status, message.sent_at_us, message.final_at_us) == ("delivered", sent_at_us, sent_at_us)
    assert (await sms.rows("early_receipts"), (await sms.counts()).by_status) == ([], {"delivered": 1})
    await sms.take(DELIVERED)
    assert (await sms.history(uuid))[3:] == [(3, "delivered", "duplicate")]


async def test_of_early_receipts_the_oldest_counts(sms: Messaging) -> None:
    [uuid] = await sms.accept()
    for said in (UNDELIVERED, DELIVERED, UNDELIVERED):
        await sms.take(said)
    await sms.submit()
    assert (await sms.history(uuid))[2:] == [
        (3, "undelivered", ""),
        (3, "delivered", "late"),
        (3, "undelivered", "duplicate"),
    ]
    assert await sms.owed(uuid) == [(1, "queued"), (2, "sent"), (3, "undelivered")]


@pytest.mark.parametrize("known", ["ref-1", "ref-999"])
async def test_a_receipt_for_nothing_we_know_harms_nothing(sms: Messaging, known: str) -> None:
    """Another connector's ``ref-1`` is as unknown as a name that nobody gave."""
    connector = "other" if known == "ref-1" else "scripted"
    stray = Receipt(connector=connector, carrier_ref=known, status=Status.DELIVERED, error_code="000", detail="")
    before = await sms.tables(without="early_receipts")
    await sms.take(stray)
    assert await sms.tables(without="early_receipts") == before
    uuid = await sms.sent()
    await sms.take(stray)
    await sms.take(UNDELIVERED)
    assert (await sms.history(uuid))[2:] == [(3, "undelivered", "")]
    assert [(row.connector, row.carrier_ref) for row in await sms.rows("early_receipts")] == [(connector, known)] * 2


@pytest.mark.parametrize(
    ("failure", "flags"), [("away", [""]), ("rolled_back", [""]), ("answer_lost", ["", "duplicate"])]
)
async def test_a_receipt_that_was_not_taken_is_offered_again_and_counts_once(
    sms: Messaging, failure: Failure, flags: list[str]
) -> None:
    uuid = await sms.sent()
    sms.store.fail_next = failure
    with pytest.raises(StoreUnavailable):
        await sms.take(DELIVERED)
    assert (await sms.message(uuid)).status == ("delivered" if failure == "answer_lost" else "sent")
    await sms.take(DELIVERED)
    assert (await sms.history(uuid))[2:] == [(3, "delivered", flag) for flag in flags]
    assert await sms.owed(uuid) == [(1, "queued"), (2, "sent"), (3, "delivered")]
    assert (await sms.counts()).by_status == {"delivered": 1}


# --- whatever happens

Step = tuple[str, Any]

accepts = st.tuples(st.integers(1, 3), st.booleans(), st.sampled_from([30, 10_800]))
outcomes = st.lists(st.sampled_from(["accepted", "accepted", "rejected", "deferred"]), min_size=1, max_size=3)
reports = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([Status.DELIVERED, Status.UNDELIVERED])), min_size=1, max_size=3
)
steps = st.one_of(
    st.tuples(st.just("accept"), accepts),
    st.tuples(st.just("submit"), outcomes),
    st.tuples(st.just("report"), reports),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, LEASE_S, 3600])),
    st.tuples(st.just("stall"), st.integers(1, 2)),
    st.tuples(st.just("answer late"), outcomes),
)


class World:
    """Does what a script says; the carrier calls the n-th message that it accepts ``ref-n``."""

    def __init__(self, sms: Messaging) -> None:
        self._sms = sms
        self._refs = 0
        self._lost: list[Turn] = []
        self.with_url: dict[str, bool] = {}
        self.receipts = 0

    async def do(self, step: Step) -> None:
        match step:
            case ("accept", (count, with_url, expiry_s)):
                numbers = "<".join(f"1415555012{last}" for last in range(count))
                uuids = await self._sms.accept(dst=numbers, url=URL if with_url else None, message_expiry=expiry_s)
                self.with_url |= dict.fromkeys(uuids, with_url)
            case ("submit", kinds):
                await self._hand_over(await self._sms.claim(len(kinds)), kinds)
            case ("report", said):
                self.receipts += len(said)
                await asyncio.gather(*(self._sms.take(receipt(f"ref-{number}", status)) for number, status in said))
            case ("wait", seconds):
                self._sms.clock.advance(seconds)
            case ("stall", count):
                self._lost += await self._sms.claim(count)
                self._sms.clock.advance(LEASE_S)
            case ("answer late", kinds):
                late, self._lost = self._lost[: len(kinds)], self._lost[len(kinds) :]
                await self._hand_over(late, kinds)

    async def _hand_over(self, claimed: list[Turn], kinds: list[str]) -> None:
        self._sms.connector.outcomes = [self._outcome(kind) for kind in kinds]
        await asyncio.gather(*map(self._sms.submitter.submit, claimed))

    def _outcome(self, kind: str) -> SubmitOutcome:
        if kind == "rejected":
            return REJECTED
        if kind == "deferred":
            return Deferred(retry_after_s=1, detail="throttled")
        self._refs += 1
        return Accepted(carrier_refs=(f"ref-{self._refs}",))


async def check_message(sms: Messaging, message: Message, *, with_url: bool) -> None:
    events = await sms.timeline(message.uuid)
    counted = [event for event in events if not event.flag]
    assert [event.sequence for event in counted] == list(range(1, len(counted) + 1))
    assert counted[0].status == Status.QUEUED
    for earlier, later in itertools.pairwise(counted):
        assert Status(later.status) in NEXT[Status(earlier.status)]
        assert later.at_us >= earlier.at_us
    assert (message.status, message.sequence) == (counted[-1].status, len(counted))
    for event in events[len(counted) :]:
        # Only receipts come after the end; a worker that has lost its lease says nothing.
        assert event.status in {Status.DELIVERED, Status.UNDELIVERED}
        assert (event.flag, event.sequence) == ("duplicate" if event.status == message.status else "late", 3)
    assert await sms.owed(message.uuid) == [(event.sequence, event.status) for event in counted] * with_url


async def check_everything(sms: Messaging, world: World) -> None:
    with_url = world.with_url
    stored = await sms.store.read(lambda tx: messages.by_uuid(tx, list(with_url)))
    assert len(await sms.rows("messages")) == len(stored) == len(with_url)
    for uuid, message in stored.items():
        await check_message(sms, message, with_url=with_url[uuid])
    counts = await sms.counts()
    assert counts.by_status == Counter(message.status for message in stored.values())
    errors = [m.error_code for m in stored.values() if m.error_code and m.status != Status.DELIVERED]
    assert counts.by_error == Counter(errors)
    assert sum(counts.delivery_latency.values()) == counts.by_status.get("delivered", 0)
    assert await sms.waiting() == counts.by_status.get("queued", 0)
    # No receipt is lost, and one is left over only for a name that no message has.
    left_over = [row.carrier_ref for row in await sms.rows("early_receipts")]
    assert set(left_over).isdisjoint(message.carrier_ref for message in stored.values())
    recorded = [row for row in await sms.rows("events") if row.status in {"delivered", "undelivered"}]
    assert len(recorded) + len(left_over) == world.receipts


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, max_size=14))
async def test_whatever_happens_the_record_is_consistent(
    tmp_path_factory: pytest.TempPathFactory, script: list[Step]
) -> None:
    sms = Messaging(tmp_path_factory.mktemp("script"))
    try:
        world = World(sms)
        for step in [("accept", (2, True, 10_800)), ("submit", ["accepted"]), *script]:
            await world.do(step)
        await check_everything(sms, world)
    finally:
        await sms.store.close()
