"""What the receiving side has taken in: the newest requests, and each one as it came."""

from collections import defaultdict
from collections.abc import Collection
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from ringback.carriers.hooks import carrier_of
from ringback.dialect.callbacks import missing_params
from ringback.dialect.inbound import CONTENT, missing_inbound_params
from ringback.model.ids import as_uuid
from ringback.model.message import Message
from ringback.model.redaction import redactor
from ringback.store import conversions_out, messages, received
from ringback.store.conversions_out import ConversionOut
from ringback.store.port import Transaction
from ringback.store.received import RECONCILED, ReceivedEvent, ReceivedRequest, Totals
from ringback.web.dashboard import present
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.viewer import Viewer, viewer_of

NEWEST: Final = 100

REASONS: Final = {
    "v3": "signature V3 is right",
    "v2": "signature V2 is right",
    "v1": "signature V1 is right",
    "twilio": "the signature is right",
    "standard": "the signature is right",
    "no_signature": "carries no signature",
    "no_nonce": "carries a signature without its nonce",
    "mismatch": "the signature does not match: another token, another URL, or changed on the way",
    "incomplete": "a parameter is repeated, and the signature covers only one of its values",
    "v2_only": "signed with V2 alone, which this source does not accept",
    "v1_only": "signed with V1 alone, which this source does not accept",
    "too_old": "the signature is right, and its time too far from ours",
    RECONCILED: "no callback: a record of the provider's list, filled in by ringback reconcile",
    "malformed": "signed, but not a status callback, or not an inbound message",
}
"""Verdicts in words; others are shown as they are."""

Whole = tuple[ReceivedRequest | None, ReceivedEvent | None, Message | None]


class Incoming:
    """The list and the pages of single requests."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """The newest requests of all sources."""
        viewer = viewer_of(request)
        found, hidden, converted, totals = await self._context.store.read(
            lambda tx: _newest(tx, viewer, viewer.sources(self._context.sources))
        )
        return self._pages.answer(
            request,
            "received.html",
            section="received",
            found=[
                (item, said, hidden.get(said.message_uuid), converted.get((said.source, said.message_uuid)))
                if said
                else (item, None, None, None)
                for item, said in found
            ],
            totals=totals,
            reasons=REASONS,
            newest=NEWEST,
            base_url=str(request.base_url).rstrip("/"),
        )

    async def explain(self, request: Request) -> Response:
        """Why the signature of a request fits, or does not."""
        item, _, message = await self._find(request)
        if item is None:
            return self._missing(request)
        hidden = message is not None and message.direction == "inbound" and present.hides_text(message)
        told = await self._context.explainer.explain(item)
        return self._pages.answer(
            request,
            "explain.html",
            section="received",
            item=item,
            told=told,
            reasons=REASONS,
            redact=redactor(message),
            hidden=hidden,
            not_shown=present.NOT_SHOWN,
        )

    async def _find(self, request: Request) -> Whole:
        """Return a request that may be shown, with the message that it is about if that may be shown too."""
        viewer, request_id = viewer_of(request), as_uuid(request.path_params["id"])
        sources = viewer.sources(self._context.sources)
        if request_id is None:
            return None, None, None
        item, said, message = await self._context.store.read(lambda tx: _whole(tx, request_id))
        if item is None or (sources is not None and item.source not in sources):
            return None, None, None
        # Whoever can sign can say anything of any message; what a page says of it must be its own account's.
        return item, said, message if message is not None and viewer.sees(message.account_id) else None

    def _missing(self, request: Request) -> Response:
        return self._pages.answer(
            request,
            "notice.html",
            status=404,
            section="received",
            title="No such request",
            text="No request of this id was received, or it is not kept any more.",
        )

    async def one(self, request: Request) -> Response:
        """One request, or 404."""
        item, said, message = await self._find(request)
        if item is None:
            return self._missing(request)
        converted = None
        if said is not None:
            uuid = said.message_uuid
            known = await self._context.store.read(lambda tx: conversions_out.standing(tx, [uuid]))
            converted = known.get((said.source, uuid))
        redact = redactor(message)
        headers = present.header_pairs(item.headers, redact)
        # What a phone wrote came with the request, in its query or its body.
        hidden = message is not None and message.direction == "inbound" and present.hides_text(message)
        params = [(name, redact(value)) for name, value in present.form_pairs(item.target, headers, item.body)]
        return self._pages.answer(
            request,
            "request.html",
            section="received",
            item=item,
            said=said,
            message=message,
            converted=converted,
            reasons=REASONS,
            target=redact(item.target.partition("?")[0] if hidden else item.target),
            headers=headers,
            body_shown=present.body(present.NOT_SHOWN.encode() if hidden and item.body else item.body, redact),
            params=[(name, present.NOT_SHOWN if hidden and name in CONTENT else value) for name, value in params],
        )


class Newest(NamedTuple):
    """What the list shows."""

    found: list[tuple[ReceivedRequest, ReceivedEvent | None]]
    numbers: dict[str, tuple[str, str]]
    """Of messages of this database: sender and destination as they may be shown."""
    converted: dict[tuple[str, str], ConversionOut]
    totals: dict[str, Totals]


def _newest(tx: Transaction, viewer: Viewer, sources: Collection[str] | None) -> Newest:
    found = received.newest(tx, limit=NEWEST, only=sources)
    named: dict[str, list[str]] = defaultdict(list)
    for _, said in found:
        if said is not None:
            named[carrier_of(said.source)].append(said.message_uuid)
    ours: dict[str, Message] = {}
    for carrier, names in named.items():
        ours |= messages.called(tx, carrier, names) if carrier else messages.by_uuid(tx, names)
    numbers = {
        uuid: (present.src_of(message), present.dst_of(message))
        for uuid, message in ours.items()
        if viewer.sees(message.account_id)
    }
    uuids = [said.message_uuid for _, said in found if said]
    return Newest(found, numbers, conversions_out.standing(tx, uuids), received.totals_by_source(tx, only=sources))


def _whole(tx: Transaction, request_id: str) -> Whole:
    item = received.request(tx, request_id)
    if item is None:
        return None, None, None
    # A refused request may be about a message of ours too, and then must not show what its log hides.
    said = received.of_request(tx, request_id)
    if item.verdict == RECONCILED and said is not None:
        return item, said, messages.find(tx, None, said.message_uuid)
    params = dict(present.form_pairs(item.target, present.header_pairs(item.headers), item.body))
    about = params.get("MessageUUID", "") if not missing_params(params) or not missing_inbound_params(params) else ""
    carrier = carrier_of(item.source)
    ours = messages.called(tx, carrier, [about]) if carrier else messages.by_uuid(tx, [about])
    return item, said, ours.get(about)
