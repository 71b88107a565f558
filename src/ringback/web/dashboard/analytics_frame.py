"""What every analytics page has around it: sub-navigation, the filter bar, and how far the analytics are.

A page is rendered through ``Frame.answer``; pages that ask nothing of the projection may use it as well.
"""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.analytics.engine import Standing
from ringback.model.errors import AnalyticsAway
from ringback.web.dashboard import present
from ringback.web.dashboard.analytics_address import DIMENSIONS, PAGES, PERIODS, Address, read_address
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.viewer import viewer_of

SWAPPED: Final = ("", "delivery", "latency", "funnel", "errors", "heatmap", "spend")
"""Pages that follow each other without the browser loading anything: they have no scripts of their own."""
_OF_OPERATORS: Final = frozenset({"sql"})
"""Pages that are not there for people of one account."""
_TITLES: Final = {name: label for name, label, _ in PAGES}


class Wellness(msgspec.Struct, frozen=True, kw_only=True):
    """How far the analytics are, for people."""

    state: str
    """``current``, ``behind``, ``rebuilding`` or ``away``."""
    text: str
    """What to know about it; empty when they are current."""
    as_of_us: int | None
    mark: str
    """Another one as soon as a page would show other figures."""
    done: int = 0
    total: int = 0
    """Events taken in, and all there are, while that is shown as progress."""


AWAY: Final = Wellness(
    state="away",
    text=(
        "The analytics are away: no process of this Ringback holds them, or it is just starting. "
        "Messages and callbacks go on as always, and nothing is lost; this page comes back by itself."
    ),
    as_of_us=None,
    mark="away",
)


def wellness(standing: Standing) -> Wellness:
    """Say how far the analytics are."""
    total = standing.events + standing.behind
    taken = f"{present.number(standing.events)} of {present.number(total)} events are in"
    text = ""
    if standing.state == "rebuilding":
        speed = f", at {present.number(round(standing.per_s))} a second" if standing.per_s else ""
        text = f"The analytics are being rebuilt from the event log: {taken}{speed}. Figures are too low until then."
    elif standing.state == "behind":
        text = f"The analytics are {present.number(standing.behind)} events behind: what is newest is not in yet."
    return Wellness(
        state=standing.state,
        text=text,
        as_of_us=standing.as_of_us or None,
        mark=f"{standing.state} {standing.mark}",
        done=standing.events if text else 0,
        total=total if text else 0,
    )


class Frame:
    """Renders pages inside the frame."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def wellness(self) -> Wellness:
        """Ask how far the analytics are."""
        try:
            return wellness(await self._context.engine.standing())
        except AnalyticsAway:
            return AWAY

    async def answer(
        self,
        request: Request,
        page: str,
        template: str,
        *,
        address: Address | None = None,
        well: Wellness | None = None,
        status: int = 200,
        **facts: Any,
    ) -> Response:
        """Render a page; ``page`` is its name in ``PAGES``, the template extends ``analytics_base.html``."""
        viewer = viewer_of(request)
        frame = {
            "section": "analytics",
            "page": page,
            "page_title": _TITLES[page],
            "analytics_pages": [each for each in PAGES if viewer.is_operator or each[0] not in _OF_OPERATORS],
            "dimensions": {
                name: label for name, label in DIMENSIONS.items() if viewer.is_operator or name != "account"
            },
            "periods": PERIODS,
            "swapped_pages": SWAPPED,
            "viewer_is_operator": viewer.is_operator,
            "address": address or read_address(page, request.query_params.multi_items()),
            "well": well or await self.wellness(),
            "now_us": self._context.clock.now_us(),
            "problem": "",
            "timeless": False,
        }
        return self._pages.answer(request, template, status=status, **(frame | facts))
