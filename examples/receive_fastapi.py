"""Plivo's callbacks in FastAPI: a dependency that gives a verified event, or answers by itself.

Run it: ``PLIVO_AUTH_TOKEN=... PUBLIC_URL=https://hooks.example.com uvicorn examples.receive_fastapi:app``
"""

import os
import time
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response

from ringback.receiver.event import Event
from ringback.receiver.source import Malformed, NotVerified, Source

source = Source(tokens=tuple(os.environ["PLIVO_AUTH_TOKEN"].split(",")), public_url=os.environ["PUBLIC_URL"])
app = FastAPI()


async def verified(request: Request) -> Event:
    """Give the event of a request that is signed as it should be."""
    query = request.scope["query_string"]
    try:
        return source.event(
            method=request.method,
            target=(request.scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1"),
            headers=request.headers.items(),
            body=await request.body(),
            now_us=time.time_ns() // 1000,
        )
    except NotVerified as refused:
        raise HTTPException(403, refused.reason) from refused
    except Malformed as refused:
        raise HTTPException(400, "no callback") from refused


@app.api_route("/sms", methods=["GET", "POST"])
def callback(event: Annotated[Event, Depends(verified)]) -> Response:
    """Store the event here, before it is answered; a rank lower than the one stored is old news."""
    print(event.message_id, event.status, event.rank)  # noqa: T201 - an example
    return Response()
