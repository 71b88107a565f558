"""Where providers send their callbacks: ``/hooks/<source>/sms_status`` for statuses, ``/hooks/<source>/sms_inbound``
for inbound messages, ``/hooks/<source>`` for either; POST or GET, with or without a slash."""

from typing import Final

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from ringback.receiver.event import Kind
from ringback.receiver.proxies import Proxies
from ringback.receiver.receive import Incoming, Receiver
from ringback.web.body import body_of
from ringback.web.direct import DirectRoute
from ringback.web.errors import answer_for, error_response

REFUSALS: Final = {
    "forbidden": (403, "signature not valid for this source; the request is kept and shown with the reason"),
    "malformed": (400, "not a status callback: MessageUUID, Status, From and To are required"),
    "malformed_inbound": (400, "not an inbound message: MessageUUID, From, To and Type are required, and no Status"),
    "malformed_any": (400, "neither a status callback nor an inbound message of this source's provider"),
}

STATUS: Final = "/hooks/{source}/sms_status"
INBOUND: Final = "/hooks/{source}/sms_inbound"
ANY: Final = "/hooks/{source}"

_ADDRESSES: Final[tuple[tuple[str, Kind, str], ...]] = (
    (STATUS, "status", "malformed"),
    (INBOUND, "inbound", "malformed_inbound"),
    (ANY, "any", "malformed_any"),
)


def hook_routes(receiver: Receiver, *, max_body_bytes: int, proxies: Proxies) -> list[Route]:
    """Return the receiver's routes."""
    return [
        DirectRoute(written, _Address(receiver, proxies, kind, malformed, max_body_bytes), methods=["POST", "GET"])
        for path, kind, malformed in _ADDRESSES
        for written in (path, path + "/")
    ]


_TAKEN: Final[Message] = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
_NOTHING: Final[Message] = {"type": "http.response.body", "body": b""}


class _Address:
    """What one kind of address does with a request, as an ASGI application."""

    def __init__(self, receiver: Receiver, proxies: Proxies, kind: Kind, malformed: str, max_body_bytes: int) -> None:
        self._receiver = receiver
        self._proxies = proxies
        self._kind = kind
        self._malformed = malformed
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and for whatever goes wrong."""
        try:
            source: str = scope["path_params"]["source"]
            incoming = await incoming_of(scope, receive, source, self._kind, self._proxies, self._max_body_bytes)
            answer = await self._receiver.take(incoming)
        except Exception as error:  # noqa: BLE001 - boundary: logged there where it is a defect
            await answer_for(error, scope)(scope, receive, send)
            return
        if answer == "accepted":
            await send(_TAKEN)
            await send(_NOTHING)
            return
        await refused(answer, self._malformed)(scope, receive, send)


async def incoming_of(  # noqa: PLR0917 - what a request is made of
    scope: Scope, receive: Receive, source: str, kind: Kind, proxies: Proxies, max_body_bytes: int
) -> Incoming:
    """Return a request to a source as the receiver takes it. Raises ``TooLarge``."""
    target = scope["raw_path"].decode("latin-1")
    if scope["query_string"]:
        target += "?" + scope["query_string"].decode("latin-1")
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    seen = proxies.seen(peer=scope["client"][0] if scope["client"] else "", scheme=scope["scheme"], headers=headers)
    return Incoming(
        source=source,
        method=scope["method"],
        target=target,
        origin=seen.origin,
        headers=headers,
        body=await body_of(scope, receive, max_body_bytes),
        peer=seen.peer,
        kind=kind,
    )


def refused(answer: str, malformed: str) -> Response:
    """Return what a sender is told whose request was not accepted; ``malformed`` is the address' own refusal."""
    return error_response(*REFUSALS[malformed if answer == "malformed" else answer])
