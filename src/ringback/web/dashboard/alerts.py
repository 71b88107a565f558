"""Alerts: what is wrong with deliveries now, what was lately, and what somebody says about it.

The list is of all accounts, and so for operators only. Its figures are those of the alerts themselves; the lines beside
them, and the chart of one alert, are asked of the analytics, and are left out while those are away.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.analytics.alerting import acknowledge, mute, resolve, unmute
from ringback.analytics.figures import Series
from ringback.analytics.filters import Filter, written
from ringback.analytics.questions import Questions
from ringback.dialect.delivery_alerts import COMPARED_WITH, figure
from ringback.model.alerts import MEANINGS, Alert, Kind, State, chance_in_words
from ringback.model.errors import AnalyticsAway, NotFound, QuestionTooLong
from ringback.store import alerts
from ringback.store.alerts import Looked, Note
from ringback.store.port import Transaction
from ringback.store.rollups import HOUR_US
from ringback.web.dashboard import analytics_views as views
from ringback.web.dashboard.analytics_address import Address
from ringback.web.dashboard.analytics_frame import Frame
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import Endpoint, read_form
from ringback.web.dashboard.viewer import viewer_of

PAGE: Final = "/dashboard/analytics/alerts"
SHOWN: Final = 50
LINES: Final = 12
"""Alerts that have a line drawn beside them."""
AROUND_US: Final = 12 * HOUR_US
LATE_US: Final = 3 * HOUR_US
MUTES: Final = {"4": "4 hours", "24": "a day", "168": "a week", "720": "30 days"}
NOTE_LIMIT: Final = 200

DONE: Final = {
    "acknowledge": "Noted that you see to it: it has left the banner.",
    "mute": "Muted: nothing is sent of it, and nothing of the same is raised, until then.",
    "unmute": "No longer muted.",
    "resolve": "Ended. Where it is not over it is raised anew after the quiet period.",
}
MARKS: Final = {
    "raised": "raised",
    "worsened": "got worse",
    "widened": "concerns more than was known",
    "changed": "turned out to be another thing",
}


class Shown(msgspec.Struct, frozen=True):
    """An alert as pages show it."""

    alert: Alert
    what: str
    before: str
    now: str
    chance: str
    compared_with: str
    delivery: str
    """Address of the page of deliveries, with what it is about as the filter."""
    line: str
    """Points of the rate around it; empty where it is not drawn."""


class Standing(msgspec.Struct, frozen=True):
    """What the list is made of."""

    open: Sequence[Alert]
    muted: Sequence[Alert]
    resolved: Sequence[Alert]
    looked: Looked


class Alerts:
    """The list, the pages of single alerts, and what their buttons do."""

    def __init__(self, context: DashboardContext, pages: Pages, questions: Questions) -> None:
        self._context = context
        self._frame = Frame(context, pages)
        self._questions = questions

    def routes(self) -> list[tuple[str, Endpoint]]:
        """Return the addresses of what is looked at."""
        return [(PAGE, self.page), (f"{PAGE}/{{id}}", self.one)]

    async def page(self, request: Request) -> Response:
        """Open ones, muted ones, and those that were resolved lately."""
        if not viewer_of(request).is_operator:
            return await self._none(request)
        now_us = self._context.clock.now_us()

        def read(tx: Transaction) -> Standing:
            return Standing(
                alerts.page(tx, state=State.OPEN, limit=SHOWN),
                alerts.muted(tx, now_us),
                alerts.page(tx, state=State.RESOLVED, limit=SHOWN),
                alerts.looked(tx),
            )

        found = await self._context.store.read(read)
        live = [each for each in found.open if not each.is_muted(now_us)]
        lines = await asyncio.gather(*(self._line(each, now_us) for each in live[:LINES]))
        settings = self._context.alerts
        return await self._frame.answer(
            request,
            "alerts",
            "analytics_alerts.html",
            live=[shown(each, line, now_us) for each, line in zip(live, [*lines, *[""] * len(live)], strict=False)],
            muted=[shown(each, "", now_us) for each in found.muted],
            resolved=[shown(each, "", now_us) for each in found.resolved if not each.is_muted(now_us)],
            looked=found.looked,
            is_sent=bool(settings.url and settings.account),
            quiet_minutes=settings.quiet_minutes,
            confirmation=DONE.get(request.query_params.get("did", ""), ""),
        )

    async def one(self, request: Request) -> Response:
        """One alert with its history and the hours around it, or 404."""
        id_ = request.path_params["id"]
        now_us = self._context.clock.now_us()

        def read(tx: Transaction) -> tuple[Alert | None, list[Note]]:
            return alerts.find(tx, id_), alerts.notes(tx, id_)

        alert, notes = await self._context.store.read(read)
        if alert is None or not viewer_of(request).is_operator:
            return await self._none(request)
        series = await self._series(alert, now_us)
        return await self._frame.answer(
            request,
            "alerts",
            "analytics_alert.html",
            it=shown(alert, "", now_us),
            notes=notes,
            marks_of=MARKS,
            grid=views.cohorts(series) if series is not None else None,
            around=Address("delivery", around(alert, now_us)),
            export=Address("delivery", around(alert, now_us)).part("export"),
            mutes=MUTES,
            confirmation=DONE.get(request.query_params.get("did", ""), ""),
        )

    async def act(self, request: Request) -> Response:
        """POST: do what a button says, then go back to the alert."""
        if not viewer_of(request).is_operator:
            return await self._none(request)
        form = await read_form(request)
        id_, action = request.path_params["id"], form.get("action", "")
        work = self._work(action, id_, form, by=viewer_of(request).name)
        if work is None:
            left_out = "for how long" if action == "mute" else "what to do"
            problem = f"The request did not say {left_out}."
            return await self._frame.answer(request, "alerts", "analytics_notice.html", status=400, problem=problem)
        try:
            await self._context.store.write(work)
        except NotFound:
            return await self._none(request)
        self._context.wakeups.signal("callbacks")
        return RedirectResponse(f"{PAGE}/{id_}?{urlencode({'did': action})}", 303)

    def _work(self, action: str, id_: str, form: dict[str, str], *, by: str) -> Callable[[Transaction], object] | None:
        now_us, note = self._context.clock.now_us(), form.get("note", "").strip()[:NOTE_LIMIT]
        settings, new_id = self._context.alerts, self._context.new_id
        works: dict[str, Callable[[Transaction], object]] = {
            "acknowledge": lambda tx: acknowledge(tx, id_, by=by, note=note, now_us=now_us),
            "unmute": lambda tx: unmute(tx, id_, by=by, now_us=now_us),
            "resolve": lambda tx: resolve(tx, id_, by=by, now_us=now_us, settings=settings, new_id=new_id, note=note),
        }
        if (hours := form.get("hours", "")) in MUTES:
            until_us = now_us + int(hours) * HOUR_US
            works["mute"] = lambda tx: mute(tx, id_, by=by, note=note, until_us=until_us, now_us=now_us)
        return works.get(action)

    async def _series(self, alert: Alert, now_us: int) -> Series | None:
        try:
            return await self._questions.series(filter_of(alert, now_us))
        except (AnalyticsAway, QuestionTooLong):
            return None

    async def _line(self, alert: Alert, now_us: int) -> str:
        series = await self._series(alert, now_us)
        return "" if series is None else line(series, counts=alert.kind is Kind.VOLUME_DROP)

    async def _none(self, request: Request) -> Response:
        return await self._frame.answer(
            request, "alerts", "analytics_notice.html", status=404, problem="There is no such alert."
        )


def span(alert: Alert, now_us: int) -> tuple[int, int]:
    """Return the time that is shown around an alert, in whole hours."""
    until_us = min(now_us, (alert.resolved_at_us or now_us) + LATE_US)
    return (alert.raised_at_us - AROUND_US) // HOUR_US * HOUR_US, -(-until_us // HOUR_US) * HOUR_US


def filter_of(alert: Alert, now_us: int) -> Filter:
    """Return what an alert is about, as a filter of the analytics."""
    since_us, until_us = span(alert, now_us)
    scope = alert.scope
    return Filter(
        since_us=since_us,
        until_us=until_us,
        country=(scope.country,) if scope.country else (),
        carrier=(scope.carrier,) if scope.carrier else (),
        sender=(scope.sender,) if scope.sender else (),
    )


def around(alert: Alert, now_us: int) -> tuple[tuple[str, str], ...]:
    """Return the same as parts of an address."""
    since_us, until_us = span(alert, now_us)
    scope = alert.scope
    named = (("country", scope.country), ("carrier", scope.carrier), ("sender", scope.sender))
    return (
        ("since", written(since_us)),
        ("until", written(until_us)),
        *((name, value) for name, value in named if value is not None),
    )


def line(series: Series, *, counts: bool) -> str:
    """Return the points of a line through the delivery rate, or the messages, in a box of 100 by 20."""
    values = [
        (at, bucket.accepted if counts else bucket.delivered / decided if decided else None)
        for at, bucket in enumerate(series.buckets)
        if (decided := bucket.delivered + bucket.undelivered + bucket.failed) or counts
    ]
    known = [(at, value) for at, value in values if value is not None]
    top = max((value for _, value in known), default=0) if counts else 1.0
    if len(known) < 2 or not top:
        return ""
    last = max(len(series.buckets) - 1, 1)
    return " ".join(f"{at / last * 100:.1f},{19 - value / top * 18:.1f}" for at, value in known)


def shown(alert: Alert, drawn: str, now_us: int) -> Shown:
    """Write an alert for people."""
    worst = alert.worst
    return Shown(
        alert=alert,
        what=MEANINGS[alert.kind],
        before=figure(worst.measure, worst.before),
        now=figure(worst.measure, worst.now),
        chance=chance_in_words(worst.log10_p),
        compared_with=COMPARED_WITH[worst.compared_with],
        delivery=Address("delivery", around(alert, now_us)).url(),
        line=drawn,
    )
