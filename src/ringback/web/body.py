"""Reading request bodies, with a bound."""

from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope

from ringback.model.errors import TooLarge

READ: Final = "ringback.body"
"""Where a request keeps its body once it is read: several layers want it."""


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the whole body. Raises ``TooLarge`` as soon as it is known to be over ``max_bytes``."""
    return await body_of(request.scope, request.receive, max_bytes)


async def body_of(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    """Do the same for an ASGI application."""
    complaint = f"request body is over the limit of {max_bytes} bytes"
    known: bytes | None = scope.get(READ)
    if known is not None:
        if len(known) > max_bytes:
            raise TooLarge(complaint)
        return known
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if declared.isdigit() and int(declared) > max_bytes:
        raise TooLarge(complaint)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > max_bytes:
            raise TooLarge(complaint)
        parts.append(part)
        if not message.get("more_body", False):
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            scope[READ] = body
            return body
