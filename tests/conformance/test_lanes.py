"""Several carriers: who gets what, what a dead one holds up, and what nobody knows."""

import pytest

from ringback.carriers.port import Accepted, Deferred, Rejected, Unknown
from ringback.model.routes import Route, RoutingTable
from ringback.settings import MessagingSettings
from ringback.store.port import Store
from tests.fakes.carriers import Carriers, table
from tests.fakes.clock import FakeClock

LEASE_S = MessagingSettings().submit_lease_s
DOWN = Deferred(retry_after_s=5, detail="no link", reason="down")
THROTTLED = Deferred(retry_after_s=5, detail="too fast")
GERMAN, REST = "4915112345678", "14155550123"
SPLIT = table(Route(name="german", carrier="x", prefix="49"), Route(name="rest", carrier="y"))


def backed_up(*, on_unknown: str = "resubmit", timeout_s: int = 0) -> RoutingTable:
    first = Route(name="first", carrier="x", on_unknown=on_unknown, receipt_timeout_s=timeout_s)  # type: ignore[arg-type]
    return table(first, Route(name="second", carrier="y", priority=1))


@pytest.fixture
def routes() -> RoutingTable:
    """What is configured, where a test does not say otherwise."""
    return SPLIT


@pytest.fixture
def sms(store: Store, clock: FakeClock, routes: RoutingTable) -> Carriers:
    return Carriers(store, clock, routes)


async def test_each_gets_what_its_routes_take(sms: Carriers) -> None:
    german, rest = await sms.accept(dst=f"{GERMAN}<{REST}")
    assert await sms.turn("x") == [german]
    assert await sms.turn("y") == [rest]
    assert [(await sms.message(uuid)).route for uuid in (german, rest)] == ["german", "rest"]
    assert await sms.waiting() == 0


async def test_whoever_looks_first_sorts_for_the_others(sms: Carriers) -> None:
    german, rest = await sms.accept(dst=f"{GERMAN}<{REST}")
    assert await sms.turn("y") == [rest]
    assert await sms.turn("y") == []
    assert await sms.turn("x") == [german]


@pytest.mark.parametrize("routes", [table(Route(name="german", carrier="x", prefix="49"))], ids=[""])
async def test_without_a_route_it_fails_with_plivos_code(sms: Carriers) -> None:
    [uuid] = await sms.accept()
    assert await sms.turn("x") == []
    message = await sms.message(uuid)
    assert (message.status, message.error_code) == ("failed", "90")
    assert await sms.details(uuid) == ["", "no route leads there"]


@pytest.mark.parametrize("routes", [backed_up()], ids=[""])
@pytest.mark.parametrize("outcome", [DOWN, THROTTLED], ids=["down", "throttled"])
async def test_what_one_puts_off_the_next_takes(sms: Carriers, outcome: Deferred) -> None:
    [uuid] = await sms.accept()
    await sms.turn("x", outcome)
    assert await sms.turn("y") == [uuid]
    assert await sms.history(uuid) == ["queued", "queued rerouted", "sent"]
    assert (await sms.details(uuid))[1] == f"route first by x: {outcome.detail}; next is route second"
    assert (await sms.message(uuid)).route == "second"


@pytest.mark.parametrize("routes", [backed_up()], ids=[""])
async def test_while_a_link_is_down_nothing_is_tried_there(sms: Carriers) -> None:
    await sms.accept()
    await sms.turn("x", DOWN)
    [waiting] = await sms.accept()
    assert await sms.turn("x") == []
    assert waiting in await sms.turn("y")
    sms.clock.advance(5)
    [uuid] = await sms.accept()
    assert await sms.turn("x") == [uuid]


@pytest.mark.parametrize("routes", [backed_up()], ids=[""])
async def test_when_all_put_it_off_it_waits_and_begins_anew(sms: Carriers) -> None:
    [uuid] = await sms.accept()
    await sms.turn("x", THROTTLED)
    await sms.turn("y", THROTTLED)
    assert await sms.turn("x") == await sms.turn("y") == []
    sms.clock.advance(5)
    assert await sms.turn("x") == [uuid]
    assert (await sms.message(uuid)).route == "first"


@pytest.mark.parametrize("routes", [backed_up()], ids=[""])
@pytest.mark.parametrize(
    ("rejected", "goes_on"),
    [
        (Rejected(error_code="20", detail="network"), True),
        (Rejected(error_code="50", detail="no such number"), False),
        (Rejected(error_code="50", detail="not ours", elsewhere=True), True),
    ],
    ids=["by its code", "for good", "as the carrier says"],
)
async def test_a_rejection_that_is_not_the_last_word(sms: Carriers, rejected: Rejected, *, goes_on: bool) -> None:
    [uuid] = await sms.accept()
    await sms.turn("x", rejected)
    assert await sms.turn("y") == ([uuid] if goes_on else [])
    assert (await sms.message(uuid)).status == ("sent" if goes_on else "failed")


@pytest.mark.parametrize("routes", [backed_up()], ids=[""])
async def test_when_all_reject_it_the_last_ones_code_stands(sms: Carriers) -> None:
    [uuid] = await sms.accept()
    await sms.turn("x", Rejected(error_code="20", detail="network"))
    await sms.turn("y", Rejected(error_code="90", detail="nowhere"))
    message = await sms.message(uuid)
    assert (message.status, message.error_code, message.route) == ("failed", "90", "second")
    assert await sms.waiting() == 0


async def test_a_paused_carrier_keeps_its_messages_until_they_expire(sms: Carriers) -> None:
    sms.table = table(*SPLIT.routes, paused=("x",))
    kept, ending = [(await sms.accept(dst=GERMAN, message_expiry=age_s))[0] for age_s in (600, 60)]
    [rest] = await sms.accept()
    for _ in range(3):
        assert await sms.turn("x") == []
    assert await sms.turn("y") == [rest]
    sms.clock.advance(61)
    assert await sms.turn("x") == []
    assert ((await sms.message(ending)).status, (await sms.message(ending)).error_code) == ("failed", "420")
    sms.table = SPLIT
    assert await sms.turn("x") == [kept]


@pytest.mark.parametrize("routes", [backed_up()], ids=[""])
async def test_an_outcome_that_nobody_knows_is_tried_again_but_not_for_ever(sms: Carriers) -> None:
    [uuid] = await sms.accept()
    for _ in range(2):
        assert await sms.turn("x", Unknown(detail="the link broke")) == [uuid]
        assert (await sms.message(uuid)).status == "queued"
        sms.clock.advance(2)
    assert await sms.turn("x", Unknown(detail="the link broke")) == [uuid]
    assert await sms.history(uuid) == ["queued", "queued unknown", "queued unknown", "sent"]
    assert await sms.waiting() == 0


@pytest.mark.parametrize("routes", [backed_up(on_unknown="wait")], ids=[""])
async def test_or_it_is_taken_for_sent_and_waits_for_receipts(sms: Carriers) -> None:
    [uuid] = await sms.accept()
    await sms.turn("x", Unknown(detail="the link broke", taken=("a", "")))
    assert await sms.history(uuid) == ["queued", "sent"]
    assert (await sms.details(uuid))[1].startswith("nobody knows whether the carrier has it: the link broke; 1 of 2")
    await sms.report("x", "a")
    # What nobody knows of the other part, no receipt of this one tells.
    assert (await sms.message(uuid)).status == "sent"


@pytest.mark.parametrize("routes", [backed_up(on_unknown="wait")], ids=[""])
@pytest.mark.parametrize("is_paused", [False, True])
async def test_a_process_that_dies_with_it_is_such_a_case(sms: Carriers, *, is_paused: bool) -> None:
    [uuid] = await sms.accept()
    assert len(await sms.claim("x")) == 1
    sms.clock.advance(LEASE_S)
    if is_paused:
        sms.table = table(*sms.table.routes, paused=("x",))
    assert await sms.turn("x") == []
    assert await sms.history(uuid) == ["queued", "sent"]
    assert "the process that had it ended" in (await sms.details(uuid))[1]


@pytest.mark.parametrize("routes", [backed_up()], ids=[""])
async def test_by_default_it_is_handed_over_again(sms: Carriers) -> None:
    [uuid] = await sms.accept()
    await sms.claim("x")
    sms.clock.advance(LEASE_S)
    assert await sms.turn("x") == [uuid]


@pytest.mark.parametrize("routes", [backed_up(timeout_s=30)], ids=[""])
async def test_receipts_that_do_not_come_are_noted(sms: Carriers) -> None:
    [late] = await sms.accept()
    sms.clock.advance(1)
    [punctual] = await sms.accept()
    await sms.turn("x", Accepted(carrier_refs=("late",)), Accepted(carrier_refs=("punctual",)))
    await sms.report("x", "punctual")
    sms.clock.advance(29)
    await sms.watch.look(10)
    assert await sms.history(late) == ["queued", "sent"]
    sms.clock.advance(1)
    for _ in range(2):
        await sms.watch.look(10)
    assert await sms.history(late) == ["queued", "sent", "sent no_receipt"]
    assert await sms.history(punctual) == ["queued", "sent", "delivered"]
    await sms.report("x", "late")
    assert (await sms.message(late)).status == "delivered"
