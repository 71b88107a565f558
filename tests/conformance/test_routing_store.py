"""Carriers and routes as stored: versions, what the file says and what commands say, and who follows."""

import msgspec
import pytest

from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.routes import Carrier, Route, RoutingTable
from ringback.routing.follow import RoutesFollower
from ringback.store import routing, submissions
from ringback.store.port import Store
from ringback.store.routing import Link
from ringback.store.wakeups import Wakeups
from tests.conformance.test_submissions import new
from tests.fakes.clock import FakeClock

X = Carrier(name="x", kind="smpp", settings={"host": "smsc", "password": "p"}, capacity=7)
Y = Carrier(name="y", kind="simulator")
FULL = Route(
    name="full",
    carrier="x",
    prefix="49",
    mcc="262",
    mnc="01",
    sender="A*",
    account_id="MAAAAAAAAAAAAAAAAAAA",
    type="mms",
    priority=-1,
    weight=3,
    on_unknown="wait",
    receipt_timeout_s=60,
    failover_codes=("10",),
)


async def put(store: Store, *things: Carrier | Route) -> None:
    for thing in things:
        if isinstance(thing, Carrier):
            await store.write(lambda tx, it=thing: routing.put_carrier(tx, it, now_us=1))  # type: ignore[misc]
        else:
            await store.write(lambda tx, it=thing: routing.put_route(tx, it, now_us=1))  # type: ignore[misc]


async def test_nothing_configured_is_the_simulator(store: Store) -> None:
    assert await store.read(routing.read) == RoutingTable()
    assert await store.read(routing.version) == 0


async def test_everything_comes_back_and_counts_versions(store: Store) -> None:
    await put(store, X, Y, FULL)
    found = await store.read(routing.read)
    assert found == RoutingTable(version=3, carriers={"x": X, "y": Y}, routes=(FULL,))
    await store.write(lambda tx: routing.pause_route(tx, "full", is_paused=True, now_us=2))
    await store.write(lambda tx: routing.pause_carrier(tx, "x", is_paused=True, reason="why", now_us=2))
    await store.write(lambda tx: routing.rebind_carrier(tx, "x", now_us=1))
    # New settings keep what operators did.
    await put(store, msgspec.structs.replace(X, capacity=8), msgspec.structs.replace(FULL, weight=1))
    found = await store.read(routing.read)
    assert found.version == 8
    x = found.carriers["x"]
    assert (x.is_paused, x.reason, x.rebinds, x.capacity) == (True, "why", 1, 8)
    assert (found.routes[0].is_paused, found.routes[0].weight) == (True, 1)


async def test_what_is_not_there_and_what_must_stay(store: Store) -> None:
    await put(store, X)
    with pytest.raises(NotFound, match="no carrier nobody"):
        await put(store, Route(name="r", carrier="nobody"))
    await put(store, FULL)
    with pytest.raises(InvalidRequest, match="remove full first"):
        await store.write(lambda tx: routing.remove_carrier(tx, "x"))
    for work in (
        lambda tx: routing.remove_carrier(tx, "z"),
        lambda tx: routing.remove_route(tx, "z"),
        lambda tx: routing.pause_carrier(tx, "z", is_paused=True, reason=None, now_us=1),
        lambda tx: routing.pause_route(tx, "z", is_paused=True, now_us=1),
        lambda tx: routing.rebind_carrier(tx, "z", now_us=1),
    ):
        with pytest.raises(NotFound):
            await store.write(work)
    assert await store.read(routing.version) == 2
    await store.write(lambda tx: routing.remove_route(tx, "full"))
    await store.write(lambda tx: routing.remove_carrier(tx, "x"))
    assert (await store.read(routing.read)).carriers == RoutingTable().carriers


async def test_the_file_says_what_is_the_files(store: Store) -> None:
    file_x, file_route = (msgspec.structs.replace(each, source="file") for each in (X, FULL))
    await put(store, Y)
    for _ in range(2):
        await store.write(lambda tx: routing.sync_file(tx, [file_x], [file_route], now_us=1))
    found = await store.read(routing.read)
    assert found.carriers == {"x": file_x, "y": Y}
    version = found.version
    with pytest.raises(InvalidRequest, match="in the settings file"):
        await put(store, X)
    with pytest.raises(InvalidRequest, match="in the settings file"):
        await store.write(lambda tx: routing.remove_route(tx, "full"))
    await store.write(lambda tx: routing.pause_carrier(tx, "x", is_paused=True, reason=None, now_us=1))
    await store.write(lambda tx: routing.sync_file(tx, [file_x], [file_route], now_us=1))
    assert await store.read(routing.version) == version + 1
    await store.write(lambda tx: routing.sync_file(tx, [], [], now_us=1))
    assert (await store.read(routing.read)).carriers == {"y": Y}


async def test_the_default_is_written_down_when_somebody_pauses_it(store: Store) -> None:
    for _ in range(2):
        await store.write(lambda tx: routing.pause_carrier(tx, "simulator", is_paused=True, reason="r", now_us=1))
    found = await store.read(routing.read)
    assert found.carriers["simulator"].is_paused
    assert [route.name for route in found.routes] == ["default"]


async def test_links_are_as_last_told(store: Store) -> None:
    old, other, newer = (
        Link(carrier="x", node=node, at_us=at_us, snapshot="{}") for node, at_us in (("a", 1), ("b", 5), ("a", 7))
    )
    for link in (old, other, newer):
        await store.write(lambda tx, it=link: routing.note_links(tx, [it]))  # type: ignore[misc]
    assert await store.read(lambda tx: routing.links(tx, since_us=0)) == [newer, other]
    assert await store.read(lambda tx: routing.links(tx, since_us=6)) == [newer]
    await store.write(lambda tx: routing.forget_links(tx, "a", before_us=5))
    assert await store.read(lambda tx: routing.links(tx, since_us=0)) == [other]


async def test_whoever_follows_hears_of_changes_only(store: Store) -> None:
    heard: list[int] = []
    follower = RoutesFollower(store, Wakeups())
    follower.tell(lambda table: heard.append(table.version))
    await follower.look()
    await put(store, X)
    for _ in range(2):
        await follower.look()
    assert heard == [1]
    assert list(follower.now().carriers) == ["x"]


async def test_lanes_are_those_that_something_waits_in(store: Store, clock: FakeClock) -> None:
    rows = [new(at, clock.now_us()) | {"carrier": lane} for at, lane in enumerate(["", "x", "y", "x", "zeta-1"])]
    await store.write(lambda tx: submissions.add(tx, rows))
    assert await store.read(submissions.lanes) == ["x", "y", "zeta-1"]
