"""Where carriers that call back send what becomes of messages, and messages from phones.

A carrier is a source like others: its requests are verified and kept as they came. What one says is then taken as any
carrier's receipt or message, and answered 200 after that commit. Whoever dies between the two commits has not answered:
the carrier sends again, the copy is flagged in what was received, and taken once all the same.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.carriers import hooks
from ringback.carriers.port import Inbound, InboundSink, Receipt, ReceiptSink
from ringback.dialect import upstream
from ringback.model.errors import NotFound, TryLater
from ringback.receiver.event import Event, Kind
from ringback.receiver.proxies import Proxies
from ringback.receiver.receive import Receiver
from ringback.runtime import BacklogFullError
from ringback.settings import SourceSettings
from ringback.web.direct import DirectRoute
from ringback.web.errors import guarded
from ringback.web.hooks.receive import incoming_of, refused

FindCarrier = Callable[[str], Awaitable[SourceSettings | None]]
"""Returns whose callbacks the carrier of a name sends; ``None`` where it is none that does."""
Take = Callable[[str, Event], Awaitable[None]]

_MALFORMED: Final = {"status": "malformed", "inbound": "malformed_inbound"}


class CarrierHooks:
    """The addresses of carriers."""

    def __init__(
        self,
        *,
        receiver: Receiver,
        find: FindCarrier,
        receipts: ReceiptSink,
        inbound: InboundSink,
        proxies: Proxies,
        max_body_bytes: int,
    ) -> None:
        self._receiver = receiver
        self._find = find
        self._receipts = receipts
        self._inbound = inbound
        self._proxies = proxies
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            DirectRoute(written, guarded(endpoint), methods=["POST", "GET"])
            for path, endpoint in ((hooks.STATUS, self.status), (hooks.INBOUND, self.inbound))
            for written in (path, path + "/")
        ]

    async def status(self, request: Request) -> Response:
        """Take what became of a message."""
        return await self._take(request, "status", self._report)

    async def inbound(self, request: Request) -> Response:
        """Take a message from a phone."""
        return await self._take(request, "inbound", self._bring)

    async def _take(self, request: Request, kind: Kind, take: Take) -> Response:
        carrier = request.path_params["carrier"]
        source = await self._find(carrier)
        if source is None:
            raise NotFound(f"no carrier that calls back is called {carrier[:40]!r}; see ringback carriers list")
        incoming = await incoming_of(
            request.scope, request.receive, hooks.source_of(carrier), kind, self._proxies, self._max_body_bytes
        )
        stored = await self._receiver.take_from(source, incoming)
        if stored.event is not None:
            try:
                await take(carrier, stored.event)
            except BacklogFullError as error:
                raise TryLater("too many requests are waiting, send again in a moment") from error
        return Response() if stored.answer == "accepted" else refused(stored.answer, _MALFORMED[kind])

    async def _report(self, carrier: str, event: Event) -> None:
        report = upstream.report(event.their_status, event.error_code)
        if report is not None:
            await self._receipts(
                Receipt(
                    connector=carrier,
                    carrier_ref=event.message_id,
                    status=report.status,
                    error_code=report.error_code,
                    detail=f"called back: {event.their_status[:32]}",
                )
            )

    async def _bring(self, carrier: str, event: Event) -> None:
        # One that is refused is logged by whoever refuses it, and answered 200 as well: sent again, it would be no more
        # welcome, and what came is kept.
        await self._inbound(
            Inbound(
                connector=carrier,
                carrier_ref=event.message_id,
                src=event.from_number,
                dst=event.to_number,
                text=event.text or "",
                type=event.type or "sms",
                media_urls=event.media_urls,
            )
        )
