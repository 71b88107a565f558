"""Where providers send their callbacks: ``/hooks/<source>/sms_status`` for statuses, ``/hooks/<source>/sms_inbound``
for inbound messages, ``/hooks/<source>`` for either; POST or GET, with or without a slash."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.receiver.event import Kind
from ringback.receiver.proxies import Proxies
from ringback.receiver.receive import Incoming, Receiver
from ringback.web.body import read_body
from ringback.web.direct import DirectRoute
from ringback.web.errors import error_response, guarded

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
        DirectRoute(
            written, guarded(_Address(receiver, proxies, kind, malformed, max_body_bytes)), methods=["POST", "GET"]
        )
        for path, kind, malformed in _ADDRESSES
        for written in (path, path + "/")
    ]


class _Address:
    """What one kind of address does with a request."""

    def __init__(self, receiver: Receiver, proxies: Proxies, kind: Kind, malformed: str, max_body_bytes: int) -> None:
        self._receiver = receiver
        self._proxies = proxies
        self._kind = kind
        self._malformed = malformed
        self._max_body_bytes = max_body_bytes

    async def __call__(self, request: Request) -> Response:
        incoming = await incoming_of(
            request, request.path_params["source"], self._kind, self._proxies, self._max_body_bytes
        )
        answer = await self._receiver.take(incoming)
        return answered(answer, self._malformed)


async def incoming_of(request: Request, source: str, kind: Kind, proxies: Proxies, max_body_bytes: int) -> Incoming:
    """Return a request to a source as the receiver takes it. Raises ``TooLarge``."""
    scope = request.scope
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
        body=await read_body(request, max_body_bytes),
        peer=seen.peer,
        kind=kind,
    )


def answered(answer: str, malformed: str) -> Response:
    """Return what the sender is told; ``malformed`` is the name of the address' own refusal."""
    if answer == "accepted":
        return Response(status_code=200)
    return error_response(*REFUSALS[malformed if answer == "malformed" else answer])
