"""The guard before every page: who has a session sees it, and what is not for them is not there.

A session's secret is in a cookie, of which the store keeps only a hash. It ends at its time, when it was not used for
long, when its user is disabled, removed or given another password, and with its account.

**Other sites.** The cookie is ``SameSite=Strict``, so no other site's request carries it. Every POST is checked
besides: ``Sec-Fetch-Site`` where the browser sends it (https and localhost), else ``Origin``. Pages are
``no-referrer``, for which browsers write ``Origin: null``; such a request is let through, having neither a
session if it came from elsewhere, nor a key that its sender did not own. Then its form must carry the token of the
session (``csrf``).
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Message, Receive

from ringback.model.errors import NotFound, OutOfSpace, StoreUnavailable, TooLarge
from ringback.runtime import Clock
from ringback.settings import DashboardSettings
from ringback.store import logins, users
from ringback.store.audit import Actor
from ringback.store.logins import Link, Session
from ringback.store.port import Store, Transaction
from ringback.web.body import read_body
from ringback.web.dashboard import csrf
from ringback.web.dashboard.context import DashboardContext, new_secret
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.trouble import Trouble, trouble
from ringback.web.dashboard.viewer import Viewer, viewer_of

Endpoint = Callable[[Request], Awaitable[Response]]

COOKIE: Final = "ringback_session"
HOME: Final = "/dashboard"
LOGIN: Final = "/dashboard/login"
OPERATOR: Final = "operator"
"""The name of who came with a link that names nobody."""
MINUTE_US: Final = 60_000_000
"""Also how exactly it is noted when a session was used last."""

_FORM_LIMIT: Final = 4_096
_LARGEST_FORM: Final = 4_000_000


OPERATORS: Final = Link()


class Inside(msgspec.Struct, frozen=True):
    """Who has been let in."""

    session: Session
    viewer: Viewer
    actor: Actor
    trouble: Trouble | None = None


async def make_login_link(
    store: Store, clock: Clock, settings: DashboardSettings, base_url: str, link: Link = OPERATORS
) -> str:
    """Return a new link that logs in once, within the time of the settings. Raises ``StoreUnavailable``.

    ``base_url`` is scheme, host and port under which the dashboard is reached.
    """
    secret = new_secret()
    now_us = clock.now_us()
    expires_at_us = now_us + settings.login_link_minutes * MINUTE_US
    await store.write(lambda tx: logins.add_link(tx, secret, link, now_us=now_us, expires_at_us=expires_at_us))
    return f"{base_url.rstrip('/')}{LOGIN}?key={secret}"


def secret_of(request: Request) -> str:
    """Return the secret that the request's cookie carries, ``""`` without one."""
    return request.cookies.get(COOKIE, "")


def inside(tx: Transaction, secret: str, now_us: int, settings: DashboardSettings) -> Inside | None:
    """Return who has the session of a secret, ``None`` when it is not open."""
    session = logins.find_session(tx, secret, now_us, idle_us=settings.idle_minutes * MINUTE_US) if secret else None
    if session is None:
        return None
    user = users.by_id(tx, session.user_id) if session.user_id is not None else None
    name = user.name if user else session.account_id or OPERATOR
    seen = logins.seen_accounts(tx, session.account_id) if session.account_id is not None else frozenset()
    if session.account_id is not None and not seen:
        return None
    viewer = Viewer(name, session.account_id, session.account_id is None, seen)
    return Inside(session, viewer, Actor(name, "user" if user else "link", session.account_id))


class Sessions:
    """The guard, and what it answers to those whom it does not let in."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    def guard(self, endpoint: Endpoint, *, shared: bool = False) -> Endpoint:
        """Wrap an endpoint so that only a session reaches it, and a database that is away gives a page.

        Only operators do, unless it is ``shared``: then it shows to people of an account only what is theirs.
        """

        async def guarded(request: Request) -> Response:
            try:
                if not await self._let_in(request):
                    return redirect(f"{LOGIN}?next={quote(_place(request))}")
                if not shared and not viewer_of(request).is_operator:
                    return self.nowhere(request)
                return await endpoint(request)
            except NotFound:
                return self.nowhere(request)
            except StoreUnavailable:
                return self.away(request)

        return guarded

    def guard_post(self, endpoint: Endpoint, *, shared: bool = False) -> Endpoint:
        """Wrap an endpoint that changes something: as ``guard`` does, and only from this site's own pages."""

        async def with_token(request: Request) -> Response:
            try:
                body = await read_body(request, _LARGEST_FORM)
            except TooLarge:
                return self._pages.answer(
                    request, "notice.html", status=413, title="Too much", text="This form is larger than any of ours."
                )
            given = request.headers.get(csrf.HEADER) or _fields(body).get(csrf.FIELD, "")
            if not csrf.fits(secret_of(request), given):
                return self._too_old(request)
            return await endpoint(Request(request.scope, _once_more(body, request.receive)))

        guarded = self.guard(with_token, shared=shared)

        async def checked(request: Request) -> Response:
            return await guarded(request) if from_here(request) else self.refused(request)

        return checked

    async def _let_in(self, request: Request) -> bool:
        secret = secret_of(request)
        if not secret:
            return False
        now_us = self._context.clock.now_us()

        def look(tx: Transaction) -> Inside | None:
            found = inside(tx, secret, now_us, self._context.settings)
            # Every page shows it, and asks here anyway.
            return found and msgspec.structs.replace(found, trouble=trouble(tx, now_us, found.viewer.only()))

        found = await self._context.store.read(look)
        if found is None:
            return False
        request.state.trouble = found.trouble
        request.state.session = found.session
        request.state.viewer = found.viewer
        request.state.actor = msgspec.structs.replace(found.actor, address=self._context.peers.of(request))
        csrf.bind(secret)
        if _is_use(request) and now_us - found.session.seen_at_us >= MINUTE_US:
            # Who may look may do so also when nothing can be written.
            with contextlib.suppress(StoreUnavailable, OutOfSpace):
                await self._context.store.write(
                    lambda tx: logins.use_session(tx, found.session.id, now_us), durable=False
                )
        return True

    def nowhere(self, request: Request) -> Response:
        """Answer that there is no such page, or none for who asks: nobody learns which."""
        return self._pages.answer(
            request, "notice.html", status=404, title="No such page", text="The dashboard has no page of this address."
        )

    def away(self, request: Request) -> Response:
        """Answer that the database is away."""
        answer = self._pages.answer(
            request,
            "notice.html",
            status=503,
            logged_in=False,
            title="The database is not answering",
            text="Nothing is lost: what was accepted is stored. Reload this page in a moment.",
        )
        answer.headers["Retry-After"] = "2"
        return answer

    def refused(self, request: Request) -> Response:
        """Answer a request that another site made."""
        return self._pages.answer(
            request,
            "notice.html",
            status=403,
            logged_in=False,
            title="Not from this site",
            text="This request was made by another site and has changed nothing.",
        )

    def _too_old(self, request: Request) -> Response:
        return self._pages.answer(
            request,
            "notice.html",
            status=403,
            title="Nothing was done",
            text="The page that this came from is of another login. Go back, reload it, and press the button again.",
        )


def redirect(target: str) -> RedirectResponse:
    """Send the browser on to a page."""
    return RedirectResponse(target, 303)


def safe_next(target: str) -> str:
    """Return where to go after the login: what was asked for, if it is a page of the dashboard."""
    parts = urlsplit(target)
    is_inside = parts.path == HOME or parts.path.startswith(f"{HOME}/")
    return target if is_inside and not parts.scheme and not parts.netloc else HOME


def from_here(request: Request) -> bool:
    """Say whether a request was made by a page of this site, as far as the browser tells."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin", "null")
    return origin == "null" or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()


async def read_form(request: Request) -> dict[str, str]:
    """Read a small form; a larger body is no form of ours and gives nothing."""
    try:
        return _fields(await read_body(request, _FORM_LIMIT))
    except TooLarge:
        return {}


def _fields(body: bytes) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(body.decode("latin-1")).items()}


def _place(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _is_use(request: Request) -> bool:
    """Say whether a person has asked for this, and not a page that renews itself."""
    asked = request.headers.get("sec-fetch-mode", "navigate") == "navigate"
    return asked or request.method == "POST" or "hx-request" in request.headers


def _once_more(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives a body that was read already, then what comes after it."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return left.pop() if left else await receive()

    return give
