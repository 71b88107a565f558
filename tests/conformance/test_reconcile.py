"""Reconciling with a provider that fails as told, on every database: what is found, what is filled in, and where it
goes on."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from ringback.model.errors import InvalidRequest, TryLater
from ringback.model.retry import RetryPlan
from ringback.receiver import reader
from ringback.receiver.reconcile import MOST_A_SLICE, WAITS_S, Reconciler, new_run
from ringback.receiver.rest import Reply
from ringback.receiver.sources.upstream import Upstream
from ringback.settings import ForwardSettings, SourceSettings
from ringback.store import callbacks, pruning, received, received_log, received_report, reconciliations
from ringback.store.port import Store, Transaction
from ringback.store.received import ReceivedEvent
from ringback.store.reconciliations import Finding, Run
from tests.conformance.test_received import request, said
from tests.fakes.clock import FakeClock
from tests.fakes.ids import counting_ids
from tests.fakes.messages import message_uuid
from tests.fakes.provider import FakeProvider, record

HOUR_US = 3_600_000_000
SINCE_US = 1_764_000_000_000_000 - 24 * HOUR_US
UNTIL_US = SINCE_US + 23 * HOUR_US
FORWARD = {"app": ForwardSettings(url="https://app.example/x")}
SOURCES = {"plivo": SourceSettings(auth_id="MA", tokens=("t",), forward=FORWARD)}
UPSTREAM = Upstream(
    source="plivo", base_url="https://api.example", auth_id="MA", token="t", per_s=1, plan=RetryPlan(())
)


class Killed(BaseException):
    """The process is gone."""


class Bench:
    """A store, a provider, and everything that a run needs."""

    def __init__(self, store: Store, clock: FakeClock, provider: FakeProvider) -> None:
        self.store = store
        self.clock = clock
        self.provider = provider
        self.waits_s: list[float] = []
        self.why: list[str] = []
        self.kill_after: int | None = None
        self._ids = counting_ids()
        self._came = 0

    def moved(self, _: Run) -> None:
        if self.kill_after is not None:
            self.kill_after -= 1
            if not self.kill_after:
                raise Killed

    def waits(self, why: str, _: float) -> None:
        self.why.append(why)

    async def pause(self, seconds: float) -> None:
        self.waits_s.append(seconds)
        self.clock.advance(seconds)

    async def came(self, uuid: str, *statuses: str, at_us: int = SINCE_US + 1) -> None:
        """Let callbacks of a message have been received."""
        for status in statuses:
            self._came += 1
            changes: dict[str, Any] = {"source": "plivo", "received_at_us": at_us}
            asked = request(self._came, **changes)
            event = said(self._came, status, None, message_uuid=uuid, **changes)
            await self.store.write(lambda tx, a=asked, e=event: received_log.append(tx, received.store(tx, [a], [e])))  # type: ignore[misc]

    async def begin(self, **more: Any) -> Run:
        now_us = self.clock.now_us()
        run = new_run(self._ids(now_us), "plivo", since_us=SINCE_US, until_us=UNTIL_US, now_us=now_us, **more)
        await self.store.write(lambda tx: reconciliations.begin(tx, run))
        return run

    async def go(self, run: Run) -> Run:
        reconciler = Reconciler(
            store=self.store, clock=self.clock, new_id=self._ids, rest=self.provider, upstream=UPSTREAM,
            sources=SOURCES, lists_per_minute=20, pause=self.pause, watcher=self,
        )  # fmt: skip
        return await reconciler.run(run)

    async def left(self) -> Run:
        run = await self.store.read(lambda tx: reconciliations.unfinished(tx, "plivo"))
        assert run is not None
        return run

    async def findings(self, run: Run) -> dict[str, tuple[str, str, str]]:
        found: list[Finding] = await self.store.read(lambda tx: reconciliations.findings(tx, run.id, limit=10_000))
        return {each.message_uuid: (each.finding, each.ours, each.theirs) for each in found}

    async def events(self) -> list[ReceivedEvent]:
        def look(tx: Transaction) -> list[ReceivedEvent]:
            page = received_log.page(tx, after=0, sources=None, limit=10_000)
            found = [received.of_request(tx, each.request.id) for each in page.events]
            return [each for each in found if each is not None]

        return await self.store.read(look)

    async def filled(self) -> Counter[tuple[str, str]]:
        return Counter((each.message_uuid, each.status) for each in await self.events() if each.flag == "reconciled")


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Bench:
    return Bench(store, clock, FakeProvider())


async def test_every_kind_of_difference_is_found_and_gaps_are_filled(bench: Bench) -> None:
    at_us = SINCE_US + HOUR_US
    for number, (uuid, theirs, ours) in enumerate(
        [
            ("same", "delivered", ("sent", "delivered")),
            ("missing", "delivered", ()),
            ("behind", "undelivered", ("queued", "sent")),
            ("ahead", "sent", ("sent", "delivered")),
            ("differs", "failed", ("delivered",)),
            ("queued", "queued", ("queued",)),
        ]
    ):
        bench.provider.put(uuid, theirs, at_us + number)
        await bench.came(uuid, *ours)
    bench.provider.put("phone", "received", at_us, message_direction="inbound")
    bench.provider.put("older", "delivered", SINCE_US - 1)
    await bench.came("older", "delivered")
    await bench.came("ours", "sent")
    await bench.came("in", "received")
    bench.provider.put("nothing", "delivered", at_us, to_number=None)
    run = await bench.go(await bench.begin())
    assert await bench.findings(run) == {
        "missing": ("missing", "", "delivered"),
        "behind": ("behind", "sent", "undelivered"),
        "ahead": ("ahead", "delivered", "sent"),
        "differs": ("differs", "delivered", "failed"),
        "ours": ("unknown", "sent", ""),
    }
    assert await bench.filled() == {("missing", "delivered"): 1, ("behind", "undelivered"): 1}
    counts = run.counts
    assert (counts.looked_at, counts.same, counts.filled, counts.unreadable, counts.unknown) == (8, 3, 2, 1, 1)
    assert (run.state, counts.asked) == ("finished", 3)


async def test_twice_is_once(bench: Bench) -> None:
    for number in range(50):
        bench.provider.put(f"m-{number:02}", "delivered", SINCE_US + number)
    first = await bench.go(await bench.begin())
    events = await bench.events()
    second = await bench.go(await bench.begin())
    assert (first.counts.filled, second.counts.filled, second.counts.same) == (50, 0, 50)
    assert await bench.events() == events


async def test_a_callback_that_comes_after_all_is_a_duplicate(bench: Bench) -> None:
    bench.provider.put("m", "delivered", SINCE_US)
    await bench.go(await bench.begin())
    await bench.came("m", "sent", "delivered")
    assert [(each.status, each.flag) for each in await bench.events()] == [
        ("delivered", "reconciled"),
        ("sent", "late"),
        ("delivered", "duplicate"),
    ]


async def test_a_dry_run_fills_in_nothing(bench: Bench) -> None:
    bench.provider.put("m", "delivered", SINCE_US)
    run = await bench.go(await bench.begin(dry_run=True))
    assert (run.counts.missing, run.counts.filled) == (1, 0)
    assert await bench.findings(run) == {"m": ("missing", "", "delivered")}
    assert await bench.events() == []


async def test_what_is_filled_in_is_read_and_handed_on_like_any_event(bench: Bench) -> None:
    bench.provider.put("m", "undelivered", SINCE_US + 5, error_code="30", units=2)
    await bench.go(await bench.begin())
    batch = await bench.store.read(lambda tx: reader.read(tx, SOURCES, names=["plivo"], after=0, limit=10))
    (event,) = batch.events
    known = {name: event[name] for name in ("status", "their_status", "flag", "rank", "error_code", "why", "units")}
    assert known == {
        "status": "undelivered", "their_status": "undelivered", "flag": "reconciled", "rank": 4, "error_code": "30",
        "why": "spam_filtered", "units": 2,
    }  # fmt: skip
    assert ["Reconciled", "true"] in event["raw"]
    assert (event["message_id"], event["sequence"]) == ("m", None)
    stored = await bench.store.read(lambda tx: received.request(tx, event["id"]))
    assert stored is not None
    assert msgspec.json.decode(stored.body) == record("m", "undelivered", SINCE_US + 5, error_code="30", units=2)
    forwards = await bench.store.read(lambda tx: received_log.forwards_of(tx, event["id"]))
    assert [(url, state) for _, url, state in forwards] == [("https://app.example/x", "pending")]
    assert await bench.store.read(callbacks.waiting) == 1
    totals = (await bench.store.read(received.totals_by_source))["plivo"]
    assert (totals.requests, totals.unique, totals.reconciled) == (0, 0, 1)
    (report,) = await bench.store.read(received_report.reports)
    assert (report.requests, report.reconciled, report.statuses) == (0, 1, {"undelivered": 1})


@pytest.mark.parametrize("pages", [1, 2, 7, 12])
async def test_a_run_that_died_goes_on_where_it_was(bench: Bench, pages: int) -> None:
    for number in range(250):
        bench.provider.put(f"m-{number:03}", "delivered", SINCE_US + number)
    for number in range(40):
        await bench.came(f"ours-{number:02}", "sent")
    bench.kill_after = pages
    with pytest.raises(Killed):
        await bench.go(await bench.begin())
    bench.kill_after = None
    asked = len(bench.provider.targets)
    run = await bench.go(await bench.left())
    assert await bench.filled() == {(f"m-{number:03}", "delivered"): 1 for number in range(250)}
    counts = run.counts
    assert (counts.looked_at, counts.missing, counts.filled, counts.unknown) == (290, 250, 250, 40)
    # Nothing is asked for again, and the figures are those of a run without a break.
    assert len(bench.provider.targets) - asked == 13 + 40 - min(pages, 13)
    assert counts.asked == 13 + 40


async def test_a_new_run_takes_the_place_of_one_that_was_cut_off(bench: Bench) -> None:
    for number in range(50):
        bench.provider.put(f"m-{number:02}", "delivered", SINCE_US + number)
    bench.kill_after = 1
    old = await bench.begin()
    with pytest.raises(Killed):
        await bench.go(old)
    bench.kill_after = None
    new = await bench.begin()
    with pytest.raises(InvalidRequest, match="another reconciliation of plivo was begun"):
        await bench.go(old)
    run = await bench.go(new)
    assert (run.counts.looked_at, run.counts.same, run.counts.filled) == (50, 20, 30)
    assert await bench.store.read(lambda tx: reconciliations.unfinished(tx, "plivo")) is None


async def test_more_than_a_slice_holds_is_gone_through_in_slices(store: Store, clock: FakeClock) -> None:
    bench = Bench(store, clock, FakeProvider(most_offset=MOST_A_SLICE))
    total = MOST_A_SLICE + 500
    for number in range(total):
        # All but the last within one hour: one slice in many is full.
        bench.provider.put(f"m-{number:05}", "delivered", SINCE_US + 5 * HOUR_US + number * 600_000)
    run = await bench.begin(dry_run=True)
    ended = await bench.go(run)
    assert (ended.counts.looked_at, ended.counts.missing, ended.place.total) == (total, total, total)
    assert max(bench.provider.offsets) < MOST_A_SLICE
    # Cutting costs few requests beside those for the messages.
    assert ended.counts.asked < total / 20 * 1.1


async def test_a_list_without_totals_is_read_to_its_end(store: Store, clock: FakeClock) -> None:
    bench = Bench(store, clock, FakeProvider(says_totals=False))
    for number in range(40):
        bench.provider.put(f"m-{number:02}", "sent", SINCE_US + number)
    run = await bench.go(await bench.begin())
    assert (run.counts.filled, run.counts.asked, run.place.total) == (40, 3, None)


NOT_JSON = Reply(http_status=200, body=b"<html>")
AWAY = Reply(http_status=None, error="no full answer within 8 s")


@pytest.mark.parametrize(
    ("replies", "waits_s", "why"),
    [
        ([Reply(http_status=500, error="answered 500: oops")], [1, 2], "answered 500: oops"),
        ([AWAY, AWAY, AWAY], [1, 2, 2, 1, 5], "no full answer within 8 s"),
        ([NOT_JSON], [1, 2], "is no page of messages"),
        ([Reply(http_status=200, body=b'{"objects": 5}')], [1, 2], "is no page of messages"),
        ([Reply(http_status=200, body=b"[]")], [1, 2], "is no page of messages"),
        ([Reply(http_status=200, body=b'{"objects": [], "meta": {"next": "/x"}}')], [1, 2], "says that there are more"),
        ([Reply(http_status=429, error="answered 429: too many requests", wait_s=40)], [1, 39], "answered 429"),
        ([Reply(http_status=503, error="answered 503", wait_s=9_999)], [1, 299], "answered 503"),
    ],
)
async def test_an_answer_of_no_use_is_asked_for_again(
    bench: Bench, replies: list[Reply], waits_s: list[float], why: str
) -> None:
    bench.provider.put("m", "delivered", SINCE_US)
    bench.provider.answer_next(*replies)
    run = await bench.go(await bench.begin())
    assert (run.counts.filled, run.state) == (1, "finished")
    assert bench.waits_s == pytest.approx(waits_s)
    assert why in bench.why[0]


async def test_a_provider_that_is_away_ends_the_run_which_can_go_on(bench: Bench) -> None:
    for number in range(30):
        bench.provider.put(f"m-{number:02}", "delivered", SINCE_US + number)
    run = await bench.begin()
    bench.provider.answer_next(
        await bench.provider.ask(UPSTREAM, "GET", first_target(run)), *[AWAY] * (len(WAITS_S) + 1)
    )
    with pytest.raises(TryLater, match="--source plivo --resume goes on"):
        await bench.go(run)
    assert (await bench.left()).counts.filled == 20
    run = await bench.go(await bench.left())
    assert (run.counts.filled, run.counts.looked_at) == (30, 30)


def first_target(run: Run) -> str:
    from_, to = ("2025-11-23 16:00:00.000000", "2025-11-24 15:00:00.000000")
    assert run.place.offset == 0
    return f"/v1/Account/MA/Message/?message_time__gte={from_}&message_time__lt={to}&limit=20&offset=0"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
async def test_what_the_provider_refuses_ends_the_run_at_once(bench: Bench, status: int) -> None:
    bench.provider.answer_next(*[Reply(http_status=status, error=f"answered {status}")] * 20)
    error = TryLater if status == 302 else InvalidRequest
    with pytest.raises(error, match=f"answered {status}"):
        await bench.go(await bench.begin())
    assert len(bench.provider.targets) == (1 + len(WAITS_S) if status == 302 else 1)


async def test_the_pace_is_kept(bench: Bench) -> None:
    for number in range(70):
        bench.provider.put(f"m-{number:02}", "sent", SINCE_US + number)
    await bench.came("ours", "sent")
    await bench.go(await bench.begin())
    # Four pages, 3 s between two, then one message.
    assert bench.waits_s == pytest.approx([3, 3, 3, 3])


async def test_pruning_removes_runs_with_their_notes(bench: Bench) -> None:
    for number in range(5):
        bench.provider.put(f"m-{number}", "sent", SINCE_US + number)
    run = await bench.go(await bench.begin())
    prune = lambda tx: reconciliations.prune(tx, before_us=bench.clock.now_us() + HOUR_US, limit=3)  # noqa: E731
    assert [await bench.store.write(prune) for _ in range(3)] == [3, 2, 0]
    assert await bench.findings(run) == {}
    assert await bench.store.write(lambda tx: pruning.prune_received(tx, before_us=UNTIL_US * 2, limit=100)) == 5


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no time between"):
        new_run(message_uuid(1), "plivo", since_us=5, until_us=5, now_us=9)
