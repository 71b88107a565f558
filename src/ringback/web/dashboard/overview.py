"""The first page: how messages and callbacks are doing."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ringback.model.latency import percentile_ms
from ringback.model.status import Status
from ringback.store import callbacks, feed, messages, received, rollups
from ringback.store.port import Transaction
from ringback.store.received import Totals
from ringback.store.rollups import HOUR_US, Summary
from ringback.web.dashboard.chart import STACK, Chart, draw
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.viewer import viewer_of

SPANS: Final = {"1h": 1, "24h": 24, "7d": 168}
"""Hours of each span."""
DEFAULT_SPAN: Final = "24h"
FEWEST_BARS: Final = 12
"""A shorter span is drawn together with the hours before it."""


class StatusCount(msgspec.Struct, frozen=True):
    """How many messages are in a status."""

    status: str
    total: int
    share: float


class ErrorCount(msgspec.Struct, frozen=True):
    """How many messages ended with an error."""

    code: str
    total: int
    share: float
    """Of all that ended with an error."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What the page says about messages."""

    accepted: int
    statuses: Sequence[StatusCount]
    decided: int
    """Messages with a final status: the denominator of the delivery rate."""
    delivered: int
    unreported: int
    """Sent, and no receipt yet."""
    rate: float | None
    p50_us: float | None
    p95_us: float | None
    errors: Sequence[ErrorCount]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is read for the page, all of one moment."""

    offset: int
    summary: Summary
    hours: Sequence[tuple[int, str, int]]
    waiting: int
    given_up: int
    sources: Mapping[str, Totals]
    ever: bool
    """Whether any message was ever accepted."""


def figures(summary: Summary) -> Figures:
    """Work out what the counts say."""
    by_status = summary.by_status
    accepted = sum(by_status.values())
    delivered = by_status.get(Status.DELIVERED, 0)
    decided = delivered + by_status.get(Status.UNDELIVERED, 0) + by_status.get(Status.FAILED, 0)
    failed = sum(summary.by_error.values())
    p50_ms, p95_ms = (percentile_ms(summary.delivery_latency, fraction) for fraction in (0.5, 0.95))
    return Figures(
        accepted=accepted,
        statuses=[
            StatusCount(status.value, total, total / accepted)
            for status in STACK
            if (total := by_status.get(status, 0)) and accepted
        ],
        decided=decided,
        delivered=delivered,
        unreported=by_status.get(Status.SENT, 0),
        rate=delivered / decided if decided else None,
        p50_us=None if p50_ms is None else p50_ms * 1000,
        p95_us=None if p95_ms is None else p95_ms * 1000,
        errors=[
            ErrorCount(code, total, total / failed)
            for code, total in sorted(summary.by_error.items(), key=lambda item: (-item[1], item[0]))
        ],
    )


class Overview:
    """The page, and its part that is renewed while it is open."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """The whole page."""
        return self._pages.answer(request, "overview.html", **await self._facts(request))

    async def part(self, request: Request) -> Response:
        """Only what changes: the figures, the chart and the tables."""
        return HTMLResponse(self._pages.text("_overview.html", **await self._facts(request)))

    async def _facts(self, request: Request) -> dict[str, Any]:
        span = request.query_params.get("span", DEFAULT_SPAN)
        if span not in SPANS:
            span = DEFAULT_SPAN
        now_us = self._context.clock.now_us()
        since_us = (now_us - SPANS[span] * HOUR_US) // HOUR_US * HOUR_US
        last_hour_us = now_us // HOUR_US * HOUR_US
        first_hour_us = min(since_us, last_hour_us - (FEWEST_BARS - 1) * HOUR_US)
        viewer = viewer_of(request)
        only, sources = viewer.only(), viewer.sources(self._context.sources)
        offset = await feed.complete_to(self._context.store)
        facts = await self._context.store.read(
            lambda tx: _read(
                tx, offset=offset, since_us=since_us, first_hour_us=first_hour_us, only=only, sources=sources
            )
        )
        chart: Chart = draw(facts.hours, first_hour_us=first_hour_us, last_hour_us=last_hour_us)
        return {
            "section": "overview",
            "span": span,
            "spans": list(SPANS),
            "since_us": since_us,
            "wider": first_hour_us < since_us,
            "facts": facts,
            "figures": figures(facts.summary),
            "chart": chart,
            "base_url": str(request.base_url).rstrip("/"),
        }


def _read(
    tx: Transaction,
    *,
    offset: int,
    since_us: int,
    first_hour_us: int,
    only: Collection[str] | None,
    sources: Collection[str] | None,
) -> Facts:
    return Facts(
        offset=offset,
        summary=rollups.summary(tx, since_us=since_us, only=only),
        hours=rollups.hourly(tx, since_us=first_hour_us, only=only),
        waiting=callbacks.waiting(tx, only=only),
        given_up=callbacks.given_up(tx, since_us=since_us, only=only),
        sources=received.totals_by_source(tx, only=sources),
        ever=messages.last_offset(tx) > 0,
    )
