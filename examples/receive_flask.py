"""Plivo's callbacks in Flask: verified, then a typed event.

Run it: ``PLIVO_AUTH_TOKEN=... PUBLIC_URL=https://hooks.example.com flask --app examples.receive_flask run``
"""

import os
import time
from urllib.parse import quote

from flask import Flask, request

from ringback.receiver.source import Malformed, NotVerified, Source

source = Source(tokens=tuple(os.environ["PLIVO_AUTH_TOKEN"].split(",")), public_url=os.environ["PUBLIC_URL"])
app = Flask(__name__)


@app.route("/sms", methods=["GET", "POST"])
def callback() -> tuple[str, int]:
    """Take in a status callback or an inbound message."""
    query = request.query_string.decode("latin-1")
    # Most servers keep the path as it was sent under one of these names; WSGI itself has it decoded.
    raw = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or quote(request.path)
    try:
        event = source.event(
            method=request.method,
            target=raw.partition("?")[0] + (f"?{query}" if query else ""),
            headers=list(request.headers.items()),
            # Before anything asks for request.form, which reads the body away.
            body=request.get_data(cache=True),
            now_us=time.time_ns() // 1000,
        )
    except NotVerified as refused:
        return refused.reason, 403
    except Malformed:
        return "no callback", 400
    # Store the event here, before it is answered; a rank lower than the one stored is old news.
    print(event.message_id, event.status, event.rank)  # noqa: T201 - an example
    return "", 200
