"""The dashboard's addresses. All are whole paths: the list goes into an application as it is."""

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ringback.web.dashboard.alerts import Alerts
from ringback.web.dashboard.analytics_ask import PATH as ASK_PATH
from ringback.web.dashboard.analytics_ask import AskPage
from ringback.web.dashboard.analytics_pages import AnalyticsPages
from ringback.web.dashboard.assets import Assets
from ringback.web.dashboard.bins import Bins
from ringback.web.dashboard.callbacks import Callbacks
from ringback.web.dashboard.carriers import Carriers
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.detail import Detail
from ringback.web.dashboard.endpoints import Endpoints
from ringback.web.dashboard.incoming import Incoming
from ringback.web.dashboard.listing import Listing
from ringback.web.dashboard.live import Live
from ringback.web.dashboard.numbers import Numbers
from ringback.web.dashboard.overview import Overview
from ringback.web.dashboard.pages import Pages, SecureHeaders
from ringback.web.dashboard.replays import Replays
from ringback.web.dashboard.sessions import Endpoint, Sessions
from ringback.web.dashboard.simulate import Simulate


def dashboard_routes(context: DashboardContext) -> list[BaseRoute]:
    """Return the routes of all pages, under ``/dashboard``.

    Before the server shuts down, ``context.stopping`` must be set: open live streams then end at once.
    """
    assets = Assets()
    pages = Pages(assets)
    sessions = Sessions(context, pages)
    overview = Overview(context, pages)
    incoming = Incoming(context, pages)
    endpoints = Endpoints(context, pages)
    detail = Detail(context, pages)
    replays = Replays(context, pages)
    simulate = Simulate(context, pages)
    carriers = Carriers(context, pages)
    bins = Bins(context, pages)
    alerts = Alerts(context, pages)
    ask = AskPage(context, pages)

    async def nowhere(request: Request) -> Response:
        return pages.answer(
            request, "notice.html", status=404, title="No such page", text="The dashboard has no page of this address."
        )

    inside: Sequence[tuple[str, Endpoint]] = (
        ("/dashboard", overview.page),
        ("/dashboard/", overview.page),
        ("/dashboard/overview", overview.part),
        *AnalyticsPages(context, pages).routes(),
        *alerts.routes(),
        ("/dashboard/messages", Listing(context, pages).page),
        ("/dashboard/messages/{uuid}", detail.page),
        ("/dashboard/callbacks", Callbacks(context, pages).page),
        ("/dashboard/replays", replays.page),
        ("/dashboard/replays/part", replays.part),
        ("/dashboard/replays/new", replays.dry_run),
        ("/dashboard/endpoints", endpoints.page),
        ("/dashboard/endpoints/{id}", endpoints.one),
        ("/dashboard/carriers", carriers.page),
        ("/dashboard/numbers", Numbers(context, pages).page),
        ("/dashboard/received", incoming.page),
        ("/dashboard/received/{id}", incoming.one),
        ("/dashboard/received/{id}/signature", incoming.explain),
        ("/dashboard/simulate", simulate.page),
        (ASK_PATH, ask.page),
        ("/dashboard/bins", bins.page),
        ("/dashboard/bins/{bin}", bins.one),
        ("/dashboard/bins/{bin}/part", bins.part),
        ("/dashboard/bins/{bin}/schema", bins.schema),
        ("/dashboard/bins/{bin}/export", bins.export),
        ("/dashboard/bins/{bin}/compare", bins.compare),
        ("/dashboard/bins/{bin}/{number}", bins.capture),
        ("/dashboard/bins/{bin}/{number}/body", bins.body),
        ("/dashboard/bins/{bin}/{number}/image", bins.image),
        ("/dashboard/live", Live(context, pages).stream),
    )
    return [
        _route("/dashboard/static/{name:path}", assets.serve),
        _route("/dashboard/login", sessions.show_login),
        _route("/dashboard/login", sessions.login, "POST"),
        _route("/dashboard/logout", sessions.logout, "POST"),
        _route("/dashboard/endpoints/{id}", sessions.guard_post(endpoints.act), "POST"),
        _route("/dashboard/carriers", sessions.guard_post(carriers.act), "POST"),
        _route("/dashboard/analytics/alerts/{id}", sessions.guard_post(alerts.act), "POST"),
        _route("/dashboard/replays", sessions.guard_post(replays.start), "POST"),
        _route("/dashboard/replays/{id}", sessions.guard_post(replays.cancel), "POST"),
        _route("/dashboard/messages/{uuid}", sessions.guard_post(detail.resend), "POST"),
        _route("/dashboard/simulate", sessions.guard_post(simulate.send), "POST"),
        _route(ASK_PATH, sessions.guard_post(ask.act), "POST"),
        _route("/dashboard/bins", sessions.guard_post(bins.create), "POST"),
        _route("/dashboard/bins/{bin}", sessions.guard_post(bins.act), "POST"),
        _route("/dashboard/bins/{bin}/{number}", sessions.guard_post(bins.send), "POST"),
        *(_route(path, sessions.guard(endpoint)) for path, endpoint in inside),
        _route("/dashboard/{rest:path}", sessions.guard(nowhere)),
    ]


def _route(path: str, endpoint: Endpoint, method: str = "GET") -> Route:
    return Route(path, endpoint, methods=[method], middleware=[Middleware(SecureHeaders)])
