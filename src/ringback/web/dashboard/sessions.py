"""Who may see the dashboard: a printed link that works once opens a session, a cookie carries it.

Opening the link only shows a button, because mail and chat programs open links to preview them; the button
uses the link up. Of both secrets the store keeps only hashes.

**Other sites.** The cookie is ``SameSite=Strict``, so no other site's request carries it. Every POST is checked
besides: ``Sec-Fetch-Site`` where the browser sends it (https and localhost), else ``Origin``. Pages are
``no-referrer``, for which browsers write ``Origin: null``; such a request is let through, having neither a
session if it came from elsewhere, nor a key that its sender did not own.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.model.errors import StoreUnavailable
from ringback.runtime import Clock
from ringback.settings import DashboardSettings
from ringback.store import logins
from ringback.store.port import Store, Transaction
from ringback.web.dashboard import csrf
from ringback.web.dashboard.context import DashboardContext, new_secret
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.trouble import Trouble, trouble
from ringback.web.dashboard.viewer import LINK_OPERATOR, set_viewer

Endpoint = Callable[[Request], Awaitable[Response]]

COOKIE: Final = "ringback_session"
HOME: Final = "/dashboard"
LOGIN: Final = "/dashboard/login"

_FORM_LIMIT: Final = 4_096


async def make_login_link(store: Store, clock: Clock, settings: DashboardSettings, base_url: str) -> str:
    """Return a new link that logs in once, within the time of the settings. Raises ``StoreUnavailable``.

    ``base_url`` is scheme, host and port under which the dashboard is reached.
    """
    secret = new_secret()
    now_us = clock.now_us()
    expires_at_us = now_us + settings.login_link_minutes * 60_000_000
    await store.write(lambda tx: logins.add(tx, secret, "link", now_us=now_us, expires_at_us=expires_at_us))
    return f"{base_url.rstrip('/')}{LOGIN}?key={secret}"


def session_of(request: Request) -> str:
    """Return the secret that the request's cookie carries, ``""`` without one."""
    return request.cookies.get(COOKIE, "")


class Sessions:
    """Logging in and out, and the guard before every other page."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    def guard(self, endpoint: Endpoint) -> Endpoint:
        """Wrap an endpoint so that only a session reaches it, and a database that is away gives a page."""

        async def guarded(request: Request) -> Response:
            try:
                if not await self._is_open(request):
                    return _redirect(f"{LOGIN}?next={quote(_place(request))}")
                return await endpoint(request)
            except StoreUnavailable:
                return self._away(request)

        return guarded

    def guard_post(self, endpoint: Endpoint) -> Endpoint:
        """Wrap an endpoint that changes something: as ``guard`` does, and only from this site's own pages."""
        guarded = self.guard(endpoint)

        async def checked(request: Request) -> Response:
            return await guarded(request) if _from_here(request) else self._refused(request)

        return checked

    async def show_login(self, request: Request) -> Response:
        """GET: the button that uses a link up, or how to get a link (401)."""
        key = request.query_params.get("key", "")
        status = 200 if key else 401
        return self._login_page(request, key=key, status=status, onward=_safe_next(request))

    async def login(self, request: Request) -> Response:
        """POST: use a link up and open a session; 401 when it is no good."""
        if not _from_here(request):
            return self._refused(request)
        secret = self._context.new_secret()
        key = (await read_form(request)).get("key", "")
        settings = self._context.settings
        now_us = self._context.clock.now_us()
        lasts_s = settings.session_hours * 3600

        def work(tx: Transaction) -> bool:
            if not logins.use_link(tx, key, now_us):
                return False
            logins.add(tx, secret, "session", now_us=now_us, expires_at_us=now_us + lasts_s * 1_000_000)
            return True

        try:
            opened = await self._context.store.write(work)
        except StoreUnavailable:
            return self._away(request)
        if not opened:
            return self._login_page(request, key="", status=401, onward=HOME, spent=True)
        answer = _redirect(HOME)
        answer.set_cookie(
            COOKIE,
            secret,
            max_age=lasts_s,
            path=HOME,
            httponly=True,
            samesite="strict",
            secure=self._context.secure_cookies,
        )
        return answer

    async def logout(self, request: Request) -> Response:
        """POST: end the session."""
        if not _from_here(request):
            return self._refused(request)
        secret = session_of(request)
        try:
            await self._context.store.write(lambda tx: logins.end_session(tx, secret))
        except StoreUnavailable:
            return self._away(request)
        answer = _redirect(LOGIN)
        answer.delete_cookie(COOKIE, path=HOME, httponly=True, samesite="strict")
        return answer

    async def _is_open(self, request: Request) -> bool:
        secret = session_of(request)
        if not secret:
            return False
        now_us = self._context.clock.now_us()

        def look(tx: Transaction) -> Trouble | None:
            return trouble(tx, now_us) if logins.session_is_open(tx, secret, now_us) else None

        # Every page shows it, and asks here anyway.
        found = await self._context.store.read(look)
        request.state.trouble = found
        if found is None:
            return False
        set_viewer(request, LINK_OPERATOR)
        csrf.bind(secret)
        return True

    def _login_page(self, request: Request, *, key: str, status: int, onward: str, spent: bool = False) -> Response:
        return self._pages.answer(
            request,
            "login.html",
            status=status,
            logged_in=False,
            key=key,
            spent=spent,
            onward=onward,
            minutes=self._context.settings.login_link_minutes,
        )

    def _away(self, request: Request) -> Response:
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

    def _refused(self, request: Request) -> Response:
        return self._pages.answer(
            request,
            "notice.html",
            status=403,
            logged_in=False,
            title="Not from this site",
            text="This request was made by another site and has changed nothing.",
        )


def _redirect(target: str) -> RedirectResponse:
    return RedirectResponse(target, 303)


def _place(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _safe_next(request: Request) -> str:
    target = request.query_params.get("next", HOME)
    parts = urlsplit(target)
    inside = parts.path == HOME or parts.path.startswith(f"{HOME}/")
    return target if inside and not parts.scheme and not parts.netloc else HOME


def _from_here(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin", "null")
    return origin == "null" or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()


async def read_form(request: Request) -> dict[str, str]:
    """Read a small form; a larger body is no form of ours and gives nothing."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > _FORM_LIMIT:
            return {}
    return {name: values[-1] for name, values in parse_qs(content.decode("latin-1")).items()}
