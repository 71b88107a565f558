"""The audit log, for operators all of it, for people of an account what they and their like have done."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.dialect.times import filter_time_us
from ringback.store import audit
from ringback.store.audit import Filter
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.viewer import viewer_of

PAGE_ROWS: Final = 100
OUTCOMES: Final = ("done", "refused", "failed")
AREAS: Final = (
    "login", "logout", "session", "password", "user", "link", "token", "account", "message", "callback", "replay",
    "endpoint", "carrier", "route", "customer", "bin", "capture",
)  # fmt: skip
"""First words of actions, to choose from."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries the page shows; empty texts take all."""

    actor: str = ""
    action: str = ""
    outcome: str = ""
    since: str = ""
    account: str = ""

    def query(self, **more: str) -> str:
        """Return the query string that asks for the same, ``more`` added."""
        return urlencode({name: value for name, value in (msgspec.structs.asdict(self) | more).items() if value})


def read_wanted(params: Mapping[str, str]) -> Wanted:
    """Read the filters of an address; what cannot be one is none."""
    given = {name: params.get(name, "").strip().replace("\x00", "") for name in Wanted.__struct_fields__}
    if given["outcome"] not in OUTCOMES:
        given["outcome"] = ""
    if _time_us(given["since"]) is None:
        given["since"] = ""
    return Wanted(**given)


class Audited:
    """The page."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """Newest first; ``before`` in the address continues where another page ended."""
        wanted = read_wanted(request.query_params)
        account = viewer_of(request).account(wanted.account)
        before = request.query_params.get("before", "")
        cursor = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
        chosen = Filter(
            account_id=account or None,
            actor=wanted.actor or None,
            action=wanted.action or None,
            outcome=wanted.outcome or None,
            since_us=_time_us(wanted.since),
        )
        found = await self._context.store.read(lambda tx: audit.page(tx, chosen, before=cursor, limit=PAGE_ROWS + 1))
        rows = found[:PAGE_ROWS]
        return self._pages.answer(
            request,
            "audit.html",
            section="audit",
            wanted=wanted,
            filtered=wanted != Wanted(),
            rows=rows,
            areas=AREAS,
            outcomes=OUTCOMES,
            first_page=cursor is None,
            newest=wanted.query(),
            older=wanted.query(before=str(rows[-1].id)) if len(found) > PAGE_ROWS else "",
        )


def _time_us(text: str) -> int | None:
    return filter_time_us(text.upper().removesuffix("Z").replace("T", " ").strip()) if text else None
