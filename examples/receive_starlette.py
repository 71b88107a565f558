"""Plivo's callbacks in Starlette, and so in FastAPI: verified, then a typed event.

Run it: ``PLIVO_AUTH_TOKEN=... PUBLIC_URL=https://hooks.example.com uvicorn examples.receive_starlette:app``
"""

import os
import time

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ringback.receiver.event import Event
from ringback.receiver.source import Malformed, NotVerified, Source

source = Source(tokens=tuple(os.environ["PLIVO_AUTH_TOKEN"].split(",")), public_url=os.environ["PUBLIC_URL"])


def keep(event: Event) -> None:
    """Store the event here, before it is answered; a rank lower than the one stored is old news."""
    print(event.message_id, event.status, event.rank)  # noqa: T201 - an example


async def callback(request: Request) -> Response:
    """Take in a status callback or an inbound message."""
    query = request.scope["query_string"]
    try:
        event = source.event(
            method=request.method,
            target=(request.scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1"),
            headers=request.headers.items(),
            body=await request.body(),
            now_us=time.time_ns() // 1000,
        )
    except NotVerified as refused:
        return PlainTextResponse(refused.reason, 403)
    except Malformed:
        return PlainTextResponse("no callback", 400)
    await run_in_threadpool(keep, event)
    return Response()


app = Starlette(routes=[Route("/sms", callback, methods=["GET", "POST"])])
