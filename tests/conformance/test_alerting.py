"""Looking for what is wrong, once a minute: each alert once, with its callback, whoever looks and whoever is killed."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import duckdb
import msgspec
import pytest

from ringback.analytics.alerting import Alerting
from ringback.model.alerts import Kind, Scope, State
from ringback.runtime import Clock
from ringback.settings_analytics import AlertsSettings
from ringback.store import alerts, callbacks
from ringback.store.port import Store, Transaction
from ringback.store.schema import callbacks as callbacks_table
from ringback.store.wakeups import Wakeups
from tests.conformance.conftest import Database
from tests.conformance.test_alerts import an_alert, evidence
from tests.fakes.alert_simulation import PlainEngine
from tests.fakes.clock import FakeClock
from tests.fakes.ids import counting_ids
from tests.fakes.traffic import fill_windows

MINUTE_US = 60_000_000
SETTINGS = AlertsSettings(url="https://alerts.example/hook", account="MAAAAAAAAAAAAAAAAAAA")


@pytest.fixture(scope="module")
def bad_hour() -> Any:
    """A database of figures in which deliveries have fallen in the hour before the fake clock's beginning."""
    connection = duckdb.connect()
    fill_windows(connection, FakeClock().now_us(), bad=40)
    return connection


def a_looker(store: Store, connection: Any, clock: Clock, **more: Any) -> Alerting:
    """Make one of the processes that may look."""
    engine = PlainEngine(connection, as_of_us=clock.now_us(), **more)
    return Alerting(
        store=store, engine=engine, clock=clock, new_id=counting_ids(), wakeups=Wakeups(), settings=SETTINGS
    )


def bodies(tx: Transaction) -> list[dict[str, Any]]:
    """Return what all callbacks say."""
    rows = tx.execute(callbacks_table.select().order_by(callbacks_table.c.created_at_us)).all()
    return [msgspec.json.decode(msgspec.json.decode(row.params)[0][1]) for row in rows]


async def test_a_drop_is_raised_with_its_callback(store: Store, clock: FakeClock, bad_hour: Any) -> None:
    await a_looker(store, bad_hour, clock).look()

    (alert,) = await store.read(lambda tx: alerts.page(tx, limit=9))
    assert (alert.kind, alert.scope, alert.state) == (Kind.DELIVERY_DROP, Scope(), State.OPEN)
    assert (alert.first.before, alert.first.error_code, alert.first.compared_with) == (
        pytest.approx(0.95, abs=0.01),
        "30",
        "weeks",
    )
    (body,) = await store.read(bodies)
    assert (body["event"], body["auth_id"], body["alert"]["alert_id"]) == ("raised", SETTINGS.account, alert.id)
    assert body["alert"]["summary"].startswith("all messages: fewer messages are delivered, 95")
    assert [note.what for note in await store.read(lambda tx: alerts.notes(tx, alert.id))] == ["raised"]


async def test_what_turns_out_to_be_another_thing_is_told(store: Store, clock: FakeClock, bad_hour: Any) -> None:
    drop = an_alert(
        kind=Kind.CONVERSION_DROP, scope=Scope(country="IN"), raised_at_us=clock.now_us() - MINUTE_US, first=evidence()
    )
    await store.write(lambda tx: alerts.save(tx, drop))

    (change,) = await a_looker(store, bad_hour, clock).look()

    assert (change.what, change.alert.id, change.alert.kind) == ("changed", drop.id, Kind.DELIVERY_DROP)
    (body,) = await store.read(bodies)
    assert (body["event"], body["alert"]["alert_id"], body["alert"]["kind"]) == ("changed", drop.id, "delivery_drop")
    assert [note.what for note in await store.read(lambda tx: alerts.notes(tx, drop.id))] == ["changed"]


async def test_many_who_look_raise_it_once(store: Store, clock: FakeClock, bad_hour: Any) -> None:
    lookers = [a_looker(store, bad_hour, clock) for _ in range(5)]

    await asyncio.gather(*(looker.look_if_due(1) for looker in lookers))
    await asyncio.gather(*(looker.look() for looker in lookers))

    assert await store.read(lambda tx: (len(alerts.page(tx, limit=9)), callbacks.waiting(tx))) == (1, 1)


async def test_the_next_look_is_due_a_minute_later(store: Store, clock: FakeClock, bad_hour: Any) -> None:
    looker = a_looker(store, bad_hour, clock)
    assert await looker.look_if_due(1) == ((), 1.0)
    due_us = (await store.read(alerts.looked)).due_at_us
    assert 0 < due_us - clock.now_us() <= MINUTE_US

    await looker.look_if_due(1)
    assert (await store.read(alerts.looked)).due_at_us == due_us


async def test_it_is_resolved_when_the_hour_is_good_again(store: Store, clock: FakeClock, bad_hour: Any) -> None:
    await a_looker(store, bad_hour, clock).look()
    good = duckdb.connect()
    fill_windows(good, clock.now_us() + 60 * MINUTE_US, bad=5, minutes=140)

    for _ in range(SETTINGS.resolve_after + 2):
        clock.advance(60)
        await a_looker(store, good, clock).look()

    (alert,) = await store.read(lambda tx: alerts.page(tx, limit=9))
    assert (alert.state, alert.resolved_by) == (State.RESOLVED, "itself")
    assert [body["event"] for body in await store.read(bodies)] == ["raised", "resolved"]


async def test_while_the_figures_are_made_anew_nobody_looks(store: Store, clock: FakeClock, bad_hour: Any) -> None:
    assert await a_looker(store, bad_hour, clock, state="rebuilding").look() == []

    assert await store.read(lambda tx: alerts.page(tx, limit=9)) == []
    assert (await store.read(alerts.looked)).detail == "the analytics are being rebuilt"


async def test_figures_that_have_been_looked_at_are_not_looked_at_again(
    store: Store, clock: FakeClock, bad_hour: Any
) -> None:
    looker = a_looker(store, bad_hour, clock)
    await looker.look()
    clock.advance(120)

    assert await looker.look() == []


async def test_without_an_address_alerts_are_shown_only(store: Store, clock: FakeClock, bad_hour: Any) -> None:
    looker = Alerting(
        store=store,
        engine=PlainEngine(bad_hour, as_of_us=clock.now_us()),
        clock=clock,
        new_id=counting_ids(),
        wakeups=Wakeups(),
        settings=AlertsSettings(),
    )
    await looker.look()
    assert await store.read(lambda tx: (len(alerts.page(tx, limit=9)), callbacks.waiting(tx))) == (1, 0)


KILLED = """
import asyncio, os, signal, sys
import duckdb
from ringback.analytics import alerting
from ringback.store import alerts, callbacks
from tests.conformance.test_alerting import a_looker
from tests.fakes.clock import FakeClock
from tests.fakes.traffic import fill_windows

def dying(real):
    def die(*given, **named):
        if sys.argv[1] == "before": os.kill(os.getpid(), signal.SIGKILL)
        real(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    return die

module, name = {{"save": (alerts, "save"), "note": (alerts, "add_note"), "owe": (callbacks, "owe")}}.get(
    sys.argv[2], (None, None))
if module is not None:
    setattr(module, name, dying(getattr(module, name)))
clock, connection = FakeClock(), duckdb.connect()
fill_windows(connection, clock.now_us(), bad=40)

async def main():
    store = {command}
    await a_looker(store, connection, clock).look()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("when", "what"),
    [("before", "save"), ("after", "save"), ("before", "note"), ("before", "owe"), ("after", "owe"), ("after", "all")],
)
async def test_who_is_killed_while_raising_loses_nothing_and_tells_nothing_twice(
    prepared: Database, clock: FakeClock, bad_hour: Any, when: str, what: str
) -> None:
    setup, _, expression = prepared.command.rpartition("; ")
    script = setup + KILLED.format(command=expression)
    run = partial(subprocess.run, check=False, capture_output=True, text=True, timeout=120)
    ended = await asyncio.to_thread(run, [sys.executable, "-c", script, when, what])
    assert ended.returncode == -signal.SIGKILL, ended.stderr

    store = prepared.open()
    try:
        counted: Callable[[Transaction], tuple[int, int]] = lambda tx: (  # noqa: E731 - read twice
            len(alerts.page(tx, limit=9)),
            callbacks.waiting(tx),
        )
        assert await store.read(counted) == ((1, 1) if what == "all" else (0, 0))

        clock.advance(60)
        await a_looker(store, bad_hour, clock).look()

        assert await store.read(counted) == (1, 1)
        assert [body["event"] for body in await store.read(bodies)] == ["raised"]
    finally:
        await store.close()
