"""Where providers send their callbacks: ``/hooks/<source>/sms_status`` and, for inbound messages,
``/hooks/<source>/sms_inbound``; POST or GET, with or without a slash."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.receiver.receive import Incoming, Receiver
from ringback.web.body import read_body
from ringback.web.direct import DirectRoute
from ringback.web.errors import error_response, guarded

REFUSALS: Final = {
    "forbidden": (403, "signature not valid for this source; the request is kept and shown with the reason"),
    "malformed": (400, "not a status callback: MessageUUID, Status, From and To are required"),
    "malformed_inbound": (400, "not an inbound message: MessageUUID, From, To and Type are required, and no Status"),
}

STATUS: Final = "/hooks/{source}/sms_status"
INBOUND: Final = "/sms_inbound"


def hook_routes(receiver: Receiver, *, max_body_bytes: int) -> list[Route]:
    """Return the receiver's routes."""

    async def take(request: Request) -> Response:
        scope = request.scope
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        brings_message = scope["path"].rstrip("/").endswith(INBOUND)
        answer = await receiver.take(
            Incoming(
                source=request.path_params["source"],
                method=request.method,
                target=target,
                origin=f"{scope['scheme']}://{request.headers.get('host', '')}",
                headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
                body=await read_body(request, max_body_bytes),
                peer=request.client.host if request.client else "",
                brings_message=brings_message,
            )
        )
        if answer == "accepted":
            return Response(status_code=200)
        return error_response(*REFUSALS["malformed_inbound" if brings_message and answer == "malformed" else answer])

    endpoint = guarded(take)
    return [
        DirectRoute(path, endpoint, methods=["POST", "GET"])
        for path in (STATUS, STATUS + "/", "/hooks/{source}" + INBOUND, "/hooks/{source}" + INBOUND + "/")
    ]
