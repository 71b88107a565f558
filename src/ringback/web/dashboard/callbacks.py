"""Callbacks: those that match a filter, newest first, and the way to have them sent once more.

A look for those that match ends after so many callbacks, whatever there is: the page says so and goes on from there.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.model.ids import as_uuid
from ringback.model.redaction import redactor
from ringback.store import accounts, endpoints, messages, resends, standing
from ringback.store.port import Transaction
from ringback.store.resends import Filter
from ringback.store.standing import Sent
from ringback.web.dashboard.chosen import STATES, TIME_HINT, Chosen, narrowed, read_chosen, understand
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.viewer import Viewer, viewer_of

PAGE_ROWS: Final = 50
_ACCOUNTS_OFFERED: Final = 200


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A callback as the list shows it."""

    sent: Sent
    state: str
    endpoint_id: str
    origin: str
    """The endpoint as it may be shown."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is read for the page, all of one moment."""

    rows: Sequence[Row] = ()
    older: str | None = None
    """The id before which to go on; ``None`` at the end."""
    stopped: bool = False
    """Whether the look ended before the page was full."""
    accounts: Sequence[tuple[str, str]] = ()


class Callbacks:
    """The page."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """Newest first; ``before`` in the address continues where another page ended."""
        viewer, chosen = viewer_of(request), read_chosen(request.query_params)
        wanted, problems = understand(narrowed(chosen, viewer))
        before = as_uuid(request.query_params.get("before", ""))
        found = await self._context.store.read(
            lambda tx: Found(accounts=_offered(tx, viewer)) if problems else _read(tx, wanted, before, viewer)
        )
        return self._pages.answer(
            request,
            "callbacks.html",
            status=400 if problems else 200,
            section="callbacks",
            chosen=chosen,
            problems=problems,
            filtered=chosen != Chosen(),
            states=STATES,
            time_hint=TIME_HINT,
            found=found,
            first_page=before is None,
            newest=chosen.query(),
            older=chosen.query(before=found.older) if found.older else "",
            look_at=resends.LOOK_AT,
            now_us=self._context.clock.now_us(),
        )


def rows(tx: Transaction, ids: Sequence[str]) -> list[Row]:
    """Return callbacks as lists show them, newest first, with what the ``log`` of their messages hides hidden."""
    found = standing.sent(tx, ids)
    about = messages.by_uuid(tx, [sent.message_uuid for sent in found])
    return [
        Row(
            sent=sent,
            # "delivered" is the word for messages here.
            state="done" if sent.state == "delivered" else sent.state,
            endpoint_id=endpoints.key(sent.account_id, sent.endpoint),
            origin=redactor(about.get(sent.message_uuid))(sent.endpoint),
        )
        for sent in found
    ]


def _read(tx: Transaction, wanted: Filter, before: str | None, viewer: Viewer) -> Found:
    look = resends.newest(tx, wanted, before=before, limit=PAGE_ROWS + 1)
    is_full = len(look.ids) > PAGE_ROWS
    return Found(
        rows=rows(tx, look.ids[:PAGE_ROWS]),
        older=look.ids[PAGE_ROWS - 1] if is_full else look.end,
        stopped=look.end is not None and not is_full,
        accounts=_offered(tx, viewer),
    )


def _offered(tx: Transaction, viewer: Viewer) -> list[tuple[str, str]]:
    return accounts.names(tx, limit=_ACCOUNTS_OFFERED, only=viewer.only())
