"""How pages become responses: templates, and the headers that every answer of the dashboard carries.

Nothing is loaded from elsewhere and nothing runs inline, so the policy forbids both. ``no-referrer`` keeps the
key of a login link, which stands in its address, from leaving with a click.
"""

from pathlib import Path
from typing import Any, Final

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringback.dialect.codes import meaning
from ringback.web.dashboard import present
from ringback.web.dashboard.assets import Assets
from ringback.web.dashboard.csrf import csrf_field, csrf_token
from ringback.web.dashboard.trouble import NONE

POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


SCHEME_COOKIE: Final = "ringback_scheme"
SCHEMES: Final = ("light", "dark")
"""What somebody can have chosen; who has not sees what the system says."""


class Pages:
    """Renders the templates."""

    def __init__(self, assets: Assets) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(asset=assets.url, csrf_field=csrf_field, csrf_token=csrf_token)
        self._environment.filters.update(
            utc=present.utc,
            utc_ms=present.utc_ms,
            iso=present.iso,
            hour=present.hour,
            duration=present.duration,
            number=present.number,
            percent=present.percent,
            money=present.money,
            price=present.price,
            milliseconds=present.milliseconds,
            day_hour=present.day_hour,
            visible=present.visible,
            words=present.words,
            circuit=present.circuit,
            ago=present.ago,
            meaning=meaning,
        )

    def text(self, template: str, **facts: Any) -> str:
        """Render a template on its own."""
        return self._environment.get_template(template).render(facts)

    def answer(self, request: Request, template: str, *, status: int = 200, **facts: Any) -> Response:
        """Render a page; ``section`` among the facts names the entry of the navigation that it belongs to."""
        return HTMLResponse(self.page(request, template, **facts), status)

    def page(self, request: Request, template: str, **facts: Any) -> str:
        """Render the text of a page, or of a part of one."""
        facts = {"section": "", "path": request.url.path, "logged_in": True} | facts
        # Left there by the guard; what it does not guard says nothing about endpoints.
        facts["trouble"] = getattr(request.state, "trouble", None) or NONE
        facts["scheme"] = _scheme_of(request)
        facts["place"] = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        facts["viewer"] = getattr(request.state, "viewer", None)
        return self.text(template, **facts)


def _scheme_of(request: Request) -> str:
    chosen = request.cookies.get(SCHEME_COOKIE, "")
    return chosen if chosen in SCHEMES else ""


class SecureHeaders:
    """Adds ``HEADERS`` to whatever the wrapped endpoint answers, without replacing what it set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present_names = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in _LOWER.items()
                        if name.encode() not in present_names
                    ),
                ]
            await send(message)

        await self._app(scope, receive, send_with_headers)


_LOWER: Final = {name.lower(): value for name, value in HEADERS.items()}
