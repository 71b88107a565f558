"""Conversions from FastAPI: a code that somebody types in is one, and Ringback tells the provider.

Run it with RINGBACK_URL, PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN set: ``uvicorn examples.report_fastapi:app``.
In Flask and Django, call ``reporter.report`` from a view in the same way.
"""

import os

from fastapi import FastAPI, HTTPException

from ringback.receiver.report import NotReported, Reporter

reporter = Reporter(
    url=os.environ["RINGBACK_URL"], auth_id=os.environ["PLIVO_AUTH_ID"], token=os.environ["PLIVO_AUTH_TOKEN"]
)
app = FastAPI()


# No `async`: FastAPI gives it a thread, as it blocks for a moment.
@app.post("/typed-in/{message_id}")
def typed_in(message_id: str) -> dict[str, str]:
    """Take note that the code of a message was typed in."""
    try:
        return {"taken": reporter.report(message_id)}
    except NotReported as why:
        # Or leave it at that: a conversion that is not reported counts as none.
        raise HTTPException(503, str(why)) from why
