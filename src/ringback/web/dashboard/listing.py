"""The message list: what is asked for, as the address says it, and the rows that answer it."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.analytics.definitions import rules_at
from ringback.analytics.filters import time_us
from ringback.dialect.codes import NONE, meaning
from ringback.model import numbers
from ringback.model.errors import InvalidRequest
from ringback.model.message import Message
from ringback.model.status import Status
from ringback.store import accounts, feed, messages
from ringback.store.narrowing import Narrowing, NoReceipt
from ringback.store.port import Transaction
from ringback.web.dashboard import present
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.viewer import Viewer, viewer_of

PAGE_ROWS: Final = 50
NO_RECEIPT: Final = "no_dlr"
"""What addresses, here and of the analytics, call messages that were sent too long ago for a receipt still to come."""
_ACCOUNTS_OFFERED: Final = 200
Params = Mapping[str, str]
"""Of an address; starlette's hold several values of a name."""
_CURSOR: Final = re.compile(r"(\d{1,17})-([0-9a-f-]{36})", re.ASCII)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages a list shows; empty texts take all. Several values of one thing are divided by commas."""

    status: str = ""
    account: str = ""
    number: str = ""
    error: str = ""
    country: str = ""
    carrier: str = ""
    """MCC-MNC."""
    sender: str = ""
    route: str = ""
    connector: str = ""
    type: str = ""
    direction: str = ""
    since: str = ""
    until: str = ""

    def query(self, **more: str) -> str:
        """Return the query string that asks for the same, ``more`` instead or besides."""
        return urlencode({name: value for name, value in (msgspec.structs.asdict(self) | more).items() if value})

    def narrowing(self, no_receipt: NoReceipt) -> Narrowing:
        """Return what the store narrows the list to, given which messages have no receipt by now."""
        named = _several(self.status)
        return Narrowing(
            status=tuple(each for each in named if each != NO_RECEIPT),
            no_receipt=no_receipt if NO_RECEIPT in named else None,
            error_code=_several(self.error),
            **{name: _several(getattr(self, name)) for name in _NARROWS},
        )

    def times(self) -> tuple[int | None, int | None]:
        """Return between which times the messages were queued."""
        since_us, until_us = (_time_us(text) if text else None for text in (self.since, self.until))
        return since_us, until_us

    def more(self) -> list[tuple[str, str, str]]:
        """Return name, value and the query string without it, of what the form has no field for."""
        return [
            (name, value, self.query(**{name: ""})) for name in (*_NARROWS, *_TIMES) if (value := getattr(self, name))
        ]

    def takes(self, message: Message, no_receipt: NoReceipt) -> bool:
        """Say whether a message belongs in the list, given which have no receipt by now."""
        hidden = message.log in messages.HIDES_NUMBER
        findable = {
            *([] if hidden and message.direction == "inbound" else [message.src]),
            *([] if hidden and message.direction != "inbound" else [message.dst]),
        }
        since_us, until_us = self.times()
        return (
            self.account in ("", message.account_id)
            and (not self.number or self.number in findable)
            and (since_us is None or message.queued_at_us >= since_us)
            and (until_us is None or message.queued_at_us < until_us)
            and self.narrowing(no_receipt).takes(message)
        )


_NARROWS: Final = ("country", "carrier", "sender", "route", "connector", "type", "direction")
_TIMES: Final = ("since", "until")
_CLASSES: Final = {"pending": ("queued", "sent")}
"""A class of the analytics that is no status: those that a message of it may have."""
_STATUSES: Final = frozenset({*Status, NO_RECEIPT})
_NEVER_US: Final = 0


def read_wanted(params: Params) -> Wanted:
    """Read the filters of an address.

    What cannot be a status, ``NO_RECEIPT`` or a time is no filter; numbers lose their punctuation.
    """
    given = {name: ",".join(_values(params, name)) for name in Wanted.__struct_fields__}
    named = [each for value in _several(given["status"]) for each in _CLASSES.get(value, (value,))]
    number = given["number"]
    return Wanted(
        **given
        | {
            "status": ",".join(dict.fromkeys(each for each in named if each in _STATUSES)),
            "number": numbers.sender(number) or number,
            **{name: given[name] if _time_us(given[name]) is not None else "" for name in _TIMES},
        }
    )


def _values(params: Params, name: str) -> list[str]:
    several: Callable[[str], list[str]] | None = getattr(params, "getlist", None)
    given = several(name) if several is not None else [params.get(name, "")]
    return [value.strip() for value in given if value.strip()]


def _several(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _time_us(text: str) -> int | None:
    try:
        return time_us(text, "since", now_us=_NEVER_US)
    except InvalidRequest:
        return None


def without_receipt(context: DashboardContext) -> NoReceipt:
    """Return which messages have no receipt by now, by the rules of the analytics."""
    settings = context.analytics
    rules = rules_at(
        context.clock.now_us(),
        no_receipt_hours=settings.no_receipt_hours,
        sent_is_delivered=settings.sent_counts_as_delivered,
    )
    return NoReceipt(rules.stale_before_us, rules.sent_is_delivered)


def narrowed(asked: Wanted, viewer: Viewer) -> Wanted:
    """Return what of it may be shown. Raises ``NotFound`` for an account that may not be seen."""
    return msgspec.structs.replace(asked, account=viewer.account(asked.account))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the list shows it."""

    uuid: str
    key: str
    """Sorts as the list does, as text; also the position after which older rows follow."""
    queued_at_us: int
    src: str
    dst: str
    status: str
    units: int
    error: str
    error_meaning: str
    latency_us: int | None
    """From queued to the final status."""


def row(message: Message) -> Row:
    """Return a message's row, with what its ``log`` hides hidden."""
    failed = message.error_code if message.error_code not in (None, NONE) else None
    return Row(
        uuid=message.uuid,
        key=f"{message.queued_at_us:017d}-{message.uuid}",
        queued_at_us=message.queued_at_us,
        src=present.src_of(message),
        dst=present.dst_of(message),
        status=message.status,
        units=message.units,
        error=failed or "",
        error_meaning=meaning(failed) if failed else "",
        latency_us=None if message.final_at_us is None else message.final_at_us - message.queued_at_us,
    )


class Listing:
    """The page of the message list."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """Newest first; ``before`` in the address continues where another page ended."""
        viewer, asked = viewer_of(request), read_wanted(request.query_params)
        wanted = narrowed(asked, viewer)
        cursor = _CURSOR.fullmatch(request.query_params.get("before", ""))
        before = (int(cursor[1]), cursor[2]) if cursor else None
        # Asked first: what is added to the log while the page is drawn comes with its stream.
        offset = await feed.complete_to(self._context.store)
        narrowing = wanted.narrowing(without_receipt(self._context))
        found, offered = await self._context.store.read(lambda tx: _read(tx, wanted, narrowing, before, viewer.only()))
        rows = [row(message) for message in found[:PAGE_ROWS]]
        return self._pages.answer(
            request,
            "messages.html",
            section="messages",
            wanted=wanted,
            filtered=asked != Wanted(),
            statuses={**{status.value: status.value for status in Status}, NO_RECEIPT: "no receipt"},
            accounts=offered,
            rows=rows,
            first_page=before is None,
            older=wanted.query(before=rows[-1].key) if len(found) > PAGE_ROWS else "",
            newest=wanted.query(),
            live_query=wanted.query(after=str(offset)),
            base_url=str(request.base_url).rstrip("/"),
        )


Found = tuple[list[Message], list[tuple[str, str]]]


def _read(
    tx: Transaction,
    wanted: Wanted,
    narrowing: Narrowing,
    before: tuple[int, str] | None,
    only: Collection[str] | None,
) -> Found:
    since_us, until_us = wanted.times()
    chosen = messages.Filter(account_id=wanted.account or None, queued_after_us=since_us, queued_before_us=until_us)
    found = messages.newest(
        tx,
        chosen,
        number=wanted.number or None,
        before=before,
        limit=PAGE_ROWS + 1,
        narrowing=narrowing,
    )
    return found, accounts.names(tx, limit=_ACCOUNTS_OFFERED, only=only)
