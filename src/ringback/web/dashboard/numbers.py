"""Numbers: all that there are, who has which, and what they are bound to."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.model import numbers as digits
from ringback.model.inventory import SERVICES, Number
from ringback.store import accounts, numbers
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.viewer import viewer_of

PAGE_ROWS: Final = 50
_ACCOUNTS_OFFERED: Final = 200
HELD: Final = {"rented": True, "for rent": False}
"""Words for whether somebody has a number."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which numbers the page shows; empty texts take all."""

    account: str = ""
    held: str = ""
    country: str = ""
    prefix: str = ""

    def query(self, **more: str) -> str:
        """Return the query string that asks for the same, ``more`` added."""
        return urlencode({name: value for name, value in (msgspec.structs.asdict(self) | more).items() if value})


def read_wanted(params: Mapping[str, str]) -> Wanted:
    """Read the filters of an address; what cannot be one is none."""
    held, country = params.get("held", ""), params.get("country", "").strip().upper()
    return Wanted(
        account=params.get("account", "").strip(),
        held=held if held in HELD else "",
        country=country if digits.calling_code(country) else "",
        prefix=_digits(params.get("prefix", "")),
    )


def services(number: Number) -> str:
    """Return in words what a number can do."""
    return ", ".join(service for service in SERVICES if getattr(number, f"{service}_enabled")) or "nothing"


class Numbers:
    """The page of all numbers."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """By number; ``after`` in the address continues another page."""
        viewer, wanted = viewer_of(request), read_wanted(request.query_params)
        account = viewer.account(wanted.account)
        is_subaccount = account.startswith("SA")
        after = _digits(request.query_params.get("after", ""))
        chosen = numbers.Filter(
            # What is for a subaccount is its main account's too.
            account_id=None if is_subaccount else account or None,
            subaccount_id=account if is_subaccount else None,
            is_rented=HELD.get(wanted.held),
            country=wanted.country or None,
            prefix=wanted.prefix or None,
        )
        found, offered = await self._context.store.read(
            lambda tx: (
                numbers.shelf(tx, chosen, after=after, limit=PAGE_ROWS + 1),
                accounts.names(tx, limit=_ACCOUNTS_OFFERED, only=viewer.only()),
            )
        )
        rows = found[:PAGE_ROWS]
        return self._pages.answer(
            request,
            "numbers.html",
            section="numbers",
            wanted=wanted,
            filtered=wanted != Wanted(),
            choices=list(HELD),
            accounts=offered,
            rows=rows,
            services=services,
            after=after,
            first=wanted.query(),
            later=wanted.query(after=rows[-1].number.number) if len(found) > PAGE_ROWS else "",
        )


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isascii() and character.isdigit())[:15]
