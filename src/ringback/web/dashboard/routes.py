"""The dashboard's addresses. All are whole paths: the list goes into an application as it is."""

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ringback.analytics.questions import Questions
from ringback.web.dashboard.alerts import Alerts
from ringback.web.dashboard.analytics_ask import PATH as ASK_PATH
from ringback.web.dashboard.analytics_ask import AskPage
from ringback.web.dashboard.analytics_live import AnalyticsLive
from ringback.web.dashboard.analytics_pages import AnalyticsPages
from ringback.web.dashboard.assets import Assets
from ringback.web.dashboard.audited import Audited
from ringback.web.dashboard.bins import Bins
from ringback.web.dashboard.callbacks import Callbacks
from ringback.web.dashboard.carriers import Carriers
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.detail import Detail
from ringback.web.dashboard.endpoints import Endpoints
from ringback.web.dashboard.incoming import Incoming
from ringback.web.dashboard.listing import Listing
from ringback.web.dashboard.live import Live
from ringback.web.dashboard.login import Hashing, Login
from ringback.web.dashboard.me import Me
from ringback.web.dashboard.numbers import Numbers
from ringback.web.dashboard.overview import Overview
from ringback.web.dashboard.pages import Pages, SecureHeaders
from ringback.web.dashboard.people import People
from ringback.web.dashboard.replays import Replays
from ringback.web.dashboard.scheme import ChooseScheme
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

    async def nowhere(request: Request) -> Response:
        return sessions.nowhere(request)

    # Pages for everybody who has logged in: each shows to people of an account what is of that account.
    shared: Sequence[tuple[str, Endpoint]] = (
        ("/dashboard", overview.page),
        ("/dashboard/", overview.page),
        ("/dashboard/overview", overview.part),
        ("/dashboard/messages", Listing(context, pages).page),
        ("/dashboard/messages/{uuid}", detail.page),
        ("/dashboard/callbacks", Callbacks(context, pages).page),
        ("/dashboard/replays", replays.page),
        ("/dashboard/replays/part", replays.part),
        ("/dashboard/replays/new", replays.dry_run),
        ("/dashboard/endpoints", endpoints.page),
        ("/dashboard/endpoints/{id}", endpoints.one),
        ("/dashboard/numbers", Numbers(context, pages).page),
        ("/dashboard/received", incoming.page),
        ("/dashboard/received/{id}", incoming.one),
        ("/dashboard/received/{id}/signature", incoming.explain),
        ("/dashboard/live", Live(context, pages).stream),
        ("/dashboard/audit", Audited(context, pages).page),
    )
    # Pages for operators: to others they are not there.
    inside: Sequence[tuple[str, Endpoint]] = (
        ("/dashboard/carriers", carriers.page),
        ("/dashboard/simulate", simulate.page),
    )
    return [
        _route("/dashboard/static/{name:path}", assets.serve),
        *_login_routes(context, pages, sessions),
        *_bin_routes(context, pages, sessions),
        *_analytics_routes(context, pages, sessions),
        _route("/dashboard/endpoints/{id}", sessions.guard_post(endpoints.act, shared=True), "POST"),
        _route("/dashboard/carriers", sessions.guard_post(carriers.act), "POST"),
        _route("/dashboard/replays", sessions.guard_post(replays.start, shared=True), "POST"),
        _route("/dashboard/replays/{id}", sessions.guard_post(replays.cancel, shared=True), "POST"),
        _route("/dashboard/messages/{uuid}", sessions.guard_post(detail.resend, shared=True), "POST"),
        _route("/dashboard/simulate", sessions.guard_post(simulate.send), "POST"),
        *(_route(path, sessions.guard(endpoint, shared=True)) for path, endpoint in shared),
        *(_route(path, sessions.guard(endpoint)) for path, endpoint in inside),
        _route("/dashboard/{rest:path}", sessions.guard(nowhere)),
    ]


def _login_routes(context: DashboardContext, pages: Pages, sessions: Sessions) -> list[Route]:
    """Return the ways in and out, one's own login, and the users."""
    hashing = Hashing()
    login, me, people = Login(context, pages, sessions, hashing), Me(context, pages, hashing), People(context, pages)
    return [
        _route("/dashboard/login", login.page),
        _route("/dashboard/login", login.login, "POST"),
        _route("/dashboard/logout", sessions.guard_post(login.logout, shared=True), "POST"),
        _route("/dashboard/scheme", sessions.guard_post(ChooseScheme(context).act, shared=True), "POST"),
        _route("/dashboard/me", sessions.guard(me.page, shared=True)),
        _route("/dashboard/me", sessions.guard_post(me.act, shared=True), "POST"),
        _route("/dashboard/users", sessions.guard(people.page)),
        _route("/dashboard/users", sessions.guard_post(people.act), "POST"),
    ]


def _analytics_routes(context: DashboardContext, pages: Pages, sessions: Sessions) -> list[Route]:
    """Return the pages of the analytics; SQL looks at all accounts, and is for operators."""
    # One for all pages: an answer that one of them has had is kept for the others.
    questions = context.questions or Questions(context.engine, context.analytics, context.clock)
    alerts, ask = Alerts(context, pages, questions), AskPage(context, pages)
    shared = [
        *AnalyticsPages(context, pages, questions).routes(),
        *AnalyticsLive(context, pages).routes(),
        *alerts.routes(),
    ]
    return [
        *(_route(path, sessions.guard(endpoint, shared=True)) for path, endpoint in shared),
        _route("/dashboard/analytics/alerts/{id}", sessions.guard_post(alerts.act), "POST"),
        _route(ASK_PATH, sessions.guard(ask.page)),
        _route(ASK_PATH, sessions.guard_post(ask.act), "POST"),
    ]


def _bin_routes(context: DashboardContext, pages: Pages, sessions: Sessions) -> list[Route]:
    """Return the pages of bins, which are for operators."""
    bins = Bins(context, pages)
    shown: Sequence[tuple[str, Endpoint]] = (
        ("/dashboard/bins", bins.page),
        ("/dashboard/bins/{bin}", bins.one),
        ("/dashboard/bins/{bin}/part", bins.part),
        ("/dashboard/bins/{bin}/schema", bins.schema),
        ("/dashboard/bins/{bin}/export", bins.export),
        ("/dashboard/bins/{bin}/compare", bins.compare),
        ("/dashboard/bins/{bin}/{number}", bins.capture),
        ("/dashboard/bins/{bin}/{number}/body", bins.body),
        ("/dashboard/bins/{bin}/{number}/image", bins.image),
    )
    return [
        *(_route(path, sessions.guard(endpoint)) for path, endpoint in shown),
        _route("/dashboard/bins", sessions.guard_post(bins.create), "POST"),
        _route("/dashboard/bins/{bin}", sessions.guard_post(bins.act), "POST"),
        _route("/dashboard/bins/{bin}/{number}", sessions.guard_post(bins.send), "POST"),
    ]


def _route(path: str, endpoint: Endpoint, method: str = "GET") -> Route:
    return Route(path, endpoint, methods=[method], middleware=[Middleware(SecureHeaders)])
