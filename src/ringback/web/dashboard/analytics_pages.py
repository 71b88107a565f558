"""The analytics pages."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.web.dashboard.analytics_address import DIMENSIONS, read_address
from ringback.web.dashboard.analytics_frame import Frame
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import Endpoint


class AnalyticsPages:
    """One endpoint for each page."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._frame = Frame(context, pages)

    def routes(self) -> list[tuple[str, Endpoint]]:
        """Return the addresses of the pages."""
        return [("/dashboard/analytics", self.overview)]

    async def overview(self, request: Request) -> Response:
        """The page that is opened every morning."""
        address = read_address("", request.query_params.multi_items())
        name, _, value = address.first("value").rpartition(":")
        if (name or address.first("add")) in DIMENSIONS and value:
            return RedirectResponse(
                address.having(add="", value="").where(name or address.first("add"), value).url(), 303
            )
        return await self._frame.answer(request, "", "analytics_notice.html", address=address)
