"""Alerts in the store: one look at a time, an alert and its callback in one commit, what the operator does to it."""

import asyncio
from functools import partial
from typing import Any

import msgspec
import pytest

from ringback.analytics.alert_life import Change
from ringback.analytics.alerting import acknowledge, callback_of, mute, resolve, send_test, unmute
from ringback.model.alerts import Alert, Evidence, Kind, Scope, State
from ringback.model.errors import NotFound
from ringback.settings_analytics import AlertsSettings
from ringback.store import alerts, callbacks
from ringback.store.alerts import Note
from ringback.store.port import Store, Transaction
from tests.fakes.ids import counting_ids

NOW_US = 1_764_000_000_000_000
MINUTE_US = 60_000_000
SETTINGS = AlertsSettings(url="https://alerts.example/hook", account="MAAAAAAAAAAAAAAAAAAA")


def evidence(**changes: Any) -> Evidence:
    """Make figures: deliveries fell from 95 % to 60 %."""
    given: dict[str, Any] = {
        "measure": "delivery_rate",
        "before": 0.95,
        "now": 0.6,
        "n_before": 4_000,
        "n_now": 1_000,
        "bad_now": 400,
        "log10_p": -80.0,
        "compared_with": "weeks",
        "since_us": NOW_US - 70 * MINUTE_US,
        "until_us": NOW_US - 10 * MINUTE_US,
    }
    return Evidence(**given | changes)


def an_alert(number: int = 1, **changes: Any) -> Alert:
    """Make an open alert of a country."""
    given: dict[str, Any] = {
        "id": f"00000000-0000-7000-8000-{number:012d}",
        "kind": Kind.DELIVERY_DROP,
        "scope": Scope(country="IN"),
        "state": State.OPEN,
        "raised_at_us": NOW_US + number,
        "first": evidence(),
        "latest": evidence(),
        "worst": evidence(error_code="30"),
        "seen_at_us": NOW_US,
    }
    return Alert(**given | changes)


async def test_an_alert_is_kept_as_it_is(store: Store) -> None:
    alert = an_alert(scope=Scope(country="IN", carrier="404-20", sender="ACME"), note="seen", clear_looks=3)
    await store.write(lambda tx: alerts.save(tx, alert))

    assert await store.read(lambda tx: alerts.find(tx, alert.id)) == alert

    changed = msgspec.structs.replace(alert, clear_looks=4)
    await store.write(lambda tx: alerts.save(tx, changed))
    assert await store.read(lambda tx: alerts.page(tx, limit=10)) == [changed]


async def test_a_turn_is_taken_once(store: Store) -> None:
    take = partial(alerts.take_turn, now_us=NOW_US, next_us=NOW_US + MINUTE_US)

    taken = await asyncio.gather(*(store.write(take) for _ in range(8)))

    assert sorted(taken) == [False] * 7 + [True]
    later = partial(alerts.take_turn, now_us=NOW_US + MINUTE_US, next_us=NOW_US + 2 * MINUTE_US)
    assert await store.write(later)


async def test_what_an_older_look_found_is_not_written(store: Store) -> None:
    assert await store.write(lambda tx: alerts.begin(tx, NOW_US))
    assert not await store.write(lambda tx: alerts.begin(tx, NOW_US))
    assert not await store.write(lambda tx: alerts.begin(tx, NOW_US - MINUTE_US))
    assert await store.write(lambda tx: alerts.begin(tx, NOW_US + MINUTE_US))
    assert (await store.read(alerts.looked)).as_of_us == NOW_US + MINUTE_US


async def test_why_there_was_no_look(store: Store) -> None:
    await store.write(lambda tx: alerts.note_no_look(tx, "the analytics are being rebuilt"))
    assert (await store.read(alerts.looked)).detail == "the analytics are being rebuilt"

    await store.write(lambda tx: alerts.begin(tx, NOW_US))
    assert (await store.read(alerts.looked)).detail == ""


async def test_an_alert_and_its_callback_are_of_one_commit(store: Store) -> None:
    ids = counting_ids()
    change = Change(an_alert(), "raised")

    def work(tx: Transaction, *, fails: bool) -> None:
        alerts.save(tx, change.alert)
        callbacks.owe(tx, callback_of(SETTINGS, change.alert, "raised", NOW_US, ids))
        if fails:
            raise RuntimeError("the process ends here")

    with pytest.raises(RuntimeError):
        await store.write(partial(work, fails=True))
    assert await store.read(lambda tx: (alerts.page(tx, limit=10), callbacks.waiting(tx))) == ([], 0)

    await store.write(partial(work, fails=False))
    assert await store.read(lambda tx: (len(alerts.page(tx, limit=10)), callbacks.waiting(tx))) == (1, 1)


async def test_what_a_look_has_to_know(store: Store) -> None:
    hour_us = 60 * MINUTE_US
    open_, quiet, over, muted = (
        an_alert(1),
        an_alert(2, state=State.RESOLVED, resolved_at_us=NOW_US - MINUTE_US),
        an_alert(3, state=State.RESOLVED, resolved_at_us=NOW_US - 2 * hour_us),
        an_alert(4, state=State.RESOLVED, resolved_at_us=NOW_US - 9 * hour_us, muted_until_us=NOW_US + hour_us),
    )

    def work(tx: Transaction) -> list[Alert]:
        for each in (open_, quiet, over, muted):
            alerts.save(tx, each)
        return alerts.standing(tx, now_us=NOW_US, quiet_us=hour_us)

    assert await store.write(work) == [open_, quiet, muted]
    assert await store.read(lambda tx: alerts.muted(tx, NOW_US)) == [muted]
    assert await store.read(alerts.firing) == {"delivery_drop": 1}
    assert await store.read(lambda tx: alerts.page(tx, state=State.RESOLVED, limit=2)) == [muted, over]
    assert await store.read(lambda tx: alerts.page(tx, kind=Kind.PUMPING, limit=2)) == []
    assert await store.read(lambda tx: alerts.page(tx, before_us=quiet.raised_at_us, limit=9)) == [open_]


async def test_what_the_operator_does_is_noted(store: Store) -> None:
    alert = an_alert()
    ids = counting_ids()

    def work(tx: Transaction) -> list[Note]:
        alerts.save(tx, alert)
        acknowledge(tx, alert.id, by="eve", note="calling the carrier", now_us=NOW_US)
        assert alerts.news(tx, NOW_US, limit=5) == []
        mute(tx, alert.id, by="eve", note="until Monday", until_us=NOW_US + MINUTE_US, now_us=NOW_US)
        unmute(tx, alert.id, by="bob", now_us=NOW_US)
        resolve(tx, alert.id, by="bob", now_us=NOW_US, settings=SETTINGS, new_id=ids, note="they have it")
        resolve(tx, alert.id, by="eve", now_us=NOW_US, settings=SETTINGS, new_id=ids)
        return alerts.notes(tx, alert.id)

    noted = await store.write(work)

    assert [(note.what, note.by, note.detail) for note in noted] == [
        ("acknowledged", "eve", "calling the carrier"),
        ("muted", "eve", "until Monday"),
        ("unmuted", "bob", ""),
        ("resolved", "bob", "they have it"),
    ]
    found = await store.read(lambda tx: alerts.find(tx, alert.id))
    assert found is not None
    assert (found.state, found.resolved_by, found.acknowledged_by) == (State.RESOLVED, "bob", "eve")
    # Told of once, though it was resolved twice.
    assert await store.read(callbacks.waiting) == 1


async def test_a_muted_alert_is_no_news_until_then(store: Store) -> None:
    alert = an_alert(muted_until_us=NOW_US + MINUTE_US)
    await store.write(lambda tx: alerts.save(tx, alert))

    assert await store.read(lambda tx: alerts.news(tx, NOW_US, limit=5)) == []
    assert await store.read(lambda tx: alerts.news(tx, NOW_US + MINUTE_US, limit=5)) == [alert]


async def test_an_alert_that_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound, match="there is no alert x"):
        await store.write(lambda tx: acknowledge(tx, "x", by="eve", note="", now_us=NOW_US))


async def test_a_test_is_owed_and_not_stored(store: Store) -> None:
    owed = await store.write(lambda tx: send_test(tx, settings=SETTINGS, now_us=NOW_US, new_id=counting_ids()))
    assert owed is not None
    assert '\\"event\\":\\"test\\"' in owed.params
    assert await store.read(lambda tx: (alerts.page(tx, limit=9), callbacks.waiting(tx))) == ([], 1)

    without = await store.write(
        lambda tx: send_test(tx, settings=AlertsSettings(), now_us=NOW_US, new_id=counting_ids())
    )
    assert without is None


async def test_old_alerts_go_with_their_history(store: Store) -> None:
    old = an_alert(1, state=State.RESOLVED, raised_at_us=NOW_US - 9, resolved_at_us=NOW_US - 5)
    still_open = an_alert(2, raised_at_us=NOW_US - 9)

    def work(tx: Transaction) -> int:
        for each in (old, still_open):
            alerts.save(tx, each)
            alerts.add_note(tx, each.id, Note(at_us=NOW_US, what="raised", by="", detail=""))
        return alerts.prune(tx, before_us=NOW_US, limit=10)

    assert await store.write(work) == 1
    assert await store.read(lambda tx: alerts.page(tx, limit=10)) == [still_open]
    assert await store.read(lambda tx: alerts.notes(tx, old.id)) == []
