"""Looks for what is wrong once a minute, and tells of it: alerts and their callbacks, in one transaction.

A look reads the figures first, which takes its time, and then decides and writes in one transaction on the alerts as
they are then. Whoever is killed before the commit has done nothing, and the next look finds the same; whoever is killed
after it has raised the alert and owes its callback. Nothing lies between.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from ringback.analytics.alert_facts import MINUTE_US, Facts, add_crowds, read_facts
from ringback.analytics.alert_life import Change, Policy, look, resolved
from ringback.analytics.alert_rules import Least, suspects
from ringback.analytics.engine import Engine
from ringback.dialect.callbacks import endpoint_of
from ringback.dialect.delivery_alerts import alert_event
from ringback.model.alerts import Alert, Evidence, Kind, Scope, State
from ringback.model.errors import AnalyticsAway, QuestionTooLong, StoreUnavailable
from ringback.model.ids import NewId
from ringback.runtime import POLL_S, Clock, WorkLoop
from ringback.settings_analytics import AlertsSettings
from ringback.store import alerts, callbacks
from ringback.store.alerts import Note
from ringback.store.callbacks import NewCallback
from ringback.store.port import Store, Transaction
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.alerts")

EVERY_US: Final = MINUTE_US
TOPIC: Final = "alerts"
CALLBACK_KIND: Final = "alert"
NOTED: Final = frozenset({"raised", "worsened", "widened", "changed", "resolved"})
TOLD: Final = frozenset({"raised", "changed", "resolved"})


def policy_of(settings: AlertsSettings) -> Policy:
    """Return what the settings say."""
    return Policy(
        least=Least(settings.min_messages, settings.min_failures),
        quiet_us=settings.quiet_minutes * MINUTE_US,
        resolve_after=settings.resolve_after,
    )


class Alerting:
    """Looks once a minute, in turn with others who may."""

    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        settings: AlertsSettings,
    ) -> None:
        self._has_missed = False
        self._store = store
        self._engine = engine
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._settings = settings
        self._policy = policy_of(settings)

    def worker(self) -> WorkLoop[None]:
        """Return the worker that looks when a look is due."""
        return WorkLoop(
            "alerts",
            claim=self.look_if_due,
            work=_nothing,
            hint=self._wakeups.listen(TOPIC),
            capacity=1,
            retry_on=StoreUnavailable,
        )

    async def look_if_due(self, _: int) -> tuple[Sequence[None], float | None]:
        """Look if it is time; returns no jobs, and the seconds until the next look. Raises ``StoreUnavailable``."""
        now_us = self._clock.now_us()
        due_us = (await self._store.read(alerts.looked)).due_at_us
        if due_us > now_us:
            return (), min((due_us - now_us) / 1_000_000, POLL_S)
        take = partial(alerts.take_turn, now_us=now_us, next_us=now_us - now_us % EVERY_US + EVERY_US)
        if await self._store.write(take, durable=False):
            await self.look()
        return (), POLL_S

    async def look(self) -> list[Change]:
        """Look now; returns what has changed. While the analytics are away nothing has. Raises ``StoreUnavailable``."""
        try:
            facts = await self._facts()
        except (AnalyticsAway, QuestionTooLong) as error:
            reason = str(error)
            # Once is no news: a file is being made, or its owner has just been started again.
            if self._has_missed:
                log.warning("alerts_not_looked", reason=reason)
            self._has_missed = True
            await self._store.write(lambda tx: alerts.note_no_look(tx, reason))
            return []
        self._has_missed = False
        if facts is None:
            return []
        changes = await self._store.write(partial(self._write, facts=facts))
        for change in changes:
            if change.what in NOTED:
                log.info("alert_changed", what=change.what, alert_id=change.alert.id, kind=change.alert.kind.value)
        if any(change.what in TOLD for change in changes):
            self._wakeups.signal("callbacks")
        return changes

    async def _facts(self) -> Facts | None:
        """Read the figures as of when they are whole: while events are missing, silence would be no news."""
        standing = await self._engine.standing()
        if standing.state == "rebuilding":
            raise AnalyticsAway("the analytics are being rebuilt")
        at_us = min(standing.as_of_us, self._clock.now_us())
        at_us -= at_us % EVERY_US
        if at_us <= (await self._store.read(alerts.looked)).as_of_us:
            return None
        least = self._policy.least
        settle_us = self._settings.settle_minutes * MINUTE_US
        facts = await read_facts(self._engine, at_us=at_us, settle_us=settle_us)
        if doubtful := suspects(facts, least):
            facts = await add_crowds(self._engine, facts, doubtful)
        return facts

    def _write(self, tx: Transaction, facts: Facts) -> list[Change]:
        if not alerts.begin(tx, facts.at_us):
            return []
        known = alerts.standing(tx, now_us=facts.at_us, quiet_us=self._policy.quiet_us)
        changes = look(facts, known, self._policy, self._new_id)
        owed = []
        for change in changes:
            alerts.save(tx, change.alert)
            if change.what not in NOTED:
                continue
            alerts.add_note(tx, change.alert.id, _note(change, facts.at_us))
            if change.what in TOLD and not change.alert.is_muted(facts.at_us):
                owed += callback_of(self._settings, change.alert, change.what, self._clock.now_us(), self._new_id)
        callbacks.owe(tx, owed)
        return changes


async def _nothing(_: None) -> None:
    """Nothing is left to be done."""


def _note(change: Change, at_us: int) -> Note:
    by = change.alert.resolved_by or "" if change.what == "resolved" else ""
    evidence = change.alert.latest
    detail = f"{change.alert.scope.words()}: {evidence.before:.4g} before, {evidence.now:.4g} now"
    return Note(at_us=at_us, what=change.what, by="" if by == "itself" else by, detail=detail)


def callback_of(settings: AlertsSettings, alert: Alert, event: str, now_us: int, new_id: NewId) -> list[NewCallback]:
    """Return the callback that tells of an event of an alert; none where the settings name no address and account."""
    if not settings.url or not settings.account:
        return []
    id_ = new_id(now_us)
    return [
        NewCallback(
            id=id_,
            account_id=settings.account,
            message_uuid=id_,
            sequence=1,
            url=settings.url,
            method="POST",
            endpoint=endpoint_of(settings.url),
            params=callbacks.json_params(alert_event(alert, event=event, account_id=settings.account)),
            created_at_us=now_us,
            kind=CALLBACK_KIND,
        )
    ]


# ---- what the operator does ----


def acknowledge(tx: Transaction, alert_id: str, *, by: str, note: str, now_us: int) -> Alert:
    """Note that somebody sees to it: it leaves the banner. Raises ``NotFound``."""
    said = Note(at_us=now_us, what="acknowledged", by=by, detail=note)
    return alerts.change(tx, alert_id, said, acknowledged_at_us=now_us, acknowledged_by=by, note=note)


def mute(tx: Transaction, alert_id: str, *, by: str, note: str, until_us: int, now_us: int) -> Alert:
    """Send nothing of it, and raise nothing of the same, until a time. Raises ``NotFound``."""
    said = Note(at_us=now_us, what="muted", by=by, detail=note)
    return alerts.change(tx, alert_id, said, muted_until_us=until_us, note=note)


def unmute(tx: Transaction, alert_id: str, *, by: str, now_us: int) -> Alert:
    """End its being muted. Raises ``NotFound``."""
    said = Note(at_us=now_us, what="unmuted", by=by, detail="")
    return alerts.change(tx, alert_id, said, muted_until_us=None)


def resolve(
    tx: Transaction, alert_id: str, *, by: str, now_us: int, settings: AlertsSettings, new_id: NewId, note: str = ""
) -> Alert:
    """End it by hand, and tell of that; where it is not over it is raised anew after the quiet period.

    Raises ``NotFound``. Of one that is over already nothing changes.
    """
    found = alerts.find(tx, alert_id)
    if found is not None and found.state is State.RESOLVED:
        return found
    said = Note(at_us=now_us, what="resolved", by=by, detail=note)
    alert = alerts.change(tx, alert_id, said, state=State.RESOLVED, resolved_at_us=now_us, resolved_by=by)
    if not alert.is_muted(now_us):
        callbacks.owe(tx, callback_of(settings, alert, "resolved", now_us, new_id))
    return alert


def test_alert(now_us: int, new_id: NewId) -> Alert:
    """Make an alert that says nothing, for trying the address out. It is not stored."""
    evidence = Evidence(
        measure="delivery_rate",
        before=0.95,
        now=0.95,
        n_before=400,
        n_now=100,
        bad_now=5,
        log10_p=0.0,
        compared_with="weeks",
        since_us=now_us - 70 * MINUTE_US,
        until_us=now_us - 10 * MINUTE_US,
    )
    alert = Alert(
        id=new_id(now_us),
        kind=Kind.TEST,
        scope=Scope(),
        state=State.OPEN,
        raised_at_us=now_us,
        first=evidence,
        latest=evidence,
        worst=evidence,
        seen_at_us=now_us,
    )
    return resolved(alert, now_us, by="itself")


def send_test(tx: Transaction, *, settings: AlertsSettings, now_us: int, new_id: NewId) -> NewCallback | None:
    """Owe a test webhook; ``None`` where the settings name no address and account."""
    owed = callback_of(settings, test_alert(now_us, new_id), "test", now_us, new_id)
    callbacks.owe(tx, owed)
    return owed[0] if owed else None
