"""Descriptions of the Callback and Replay resources."""

from typing import Final

from ringback.web.api import replays
from ringback.web.api.callbacks import MAX_LIMIT, STATES
from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import TIME, UUID, Operation, or_null, text, word

_COLLECTION: Final = "/v1/Account/{auth_id}/Callback/"
_REPLAYS: Final = _COLLECTION + "Replay/"
_REPLAY_STATES: Final = ("running", "finished", "cancelled")

PLAN: Final = {"type": ["array", "null"], "items": shapes.number(), "description": "Pauses in seconds"}
HEADERS: Final = shapes.many(shapes.many(text(), minItems=2, maxItems=2), description="Pairs of name and value")

CALLBACK: Final = {
    "id": UUID,
    "message_uuid": UUID,
    "kind": word("status", "message"),
    "sequence": shapes.whole(1),
    "url": text(),
    "method": word("POST", "GET"),
    "endpoint": text("Scheme, host and port"),
    "state": word(*STATES),
    "created_time": TIME,
    "done_time": or_null(TIME),
    "resend_of": or_null(UUID),
    "retry_delays_s": PLAN,
}
_ATTEMPT: Final = {
    "number": shapes.whole(1),
    "planned_time": TIME,
    "started_time": TIME,
    "duration_ms": shapes.number(),
    "outcome": text(),
    "http_status": {"type": ["integer", "null"]},
    "error": or_null(text()),
    "request_headers": HEADERS,
    "response_headers": HEADERS,
    "response_body": shapes.record({}, optional={"text": text(), "base64": text()}),
}
_REPLY: Final = shapes.record(
    {
        "state": word("executed", "repeated", "malformed"),
        "detail": or_null(text()),
        "time": TIME,
        "parts": shapes.many(
            shapes.record(
                {
                    "element": text(),
                    "state": word("accepted", "refused", "ignored"),
                    "detail": text(),
                    "message_uuids": shapes.many(UUID),
                    "invalid_number": shapes.many(text()),
                }
            )
        ),
    },
    says="What was made of the XML in the answer",
)
_TOTAL: Final = {
    "total": or_null(shapes.whole(0, description="What matched when it began; null when not all was counted")),
    "total_at_least": shapes.whole(0),
}
_REPLAY: Final = {
    "id": UUID,
    "state": word(*_REPLAY_STATES),
    **_TOTAL,
    "done": shapes.whole(0),
    "rate_per_s": shapes.number(),
    "filter": shapes.record(
        {
            "message_uuid": or_null(text()),
            "endpoint": or_null(text()),
            "state": word(*replays.ENDED),
            "since": or_null(TIME),
            "until": or_null(TIME),
            "again": shapes.FLAG,
        }
    ),
    "created_time": TIME,
    "updated_time": TIME,
}
_WANTED: Final = {
    "message_uuid": UUID,
    "endpoint": text("Scheme, host and port"),
    "since": text("UTC, such as 2026-01-31 12:00:00"),
    "until": text("UTC, such as 2026-01-31 12:00:00"),
}
_BEFORE: Final = {"limit": shapes.whole(1, MAX_LIMIT, default=20), "before": text("What next said")}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_COLLECTION,
        name="listCallbacks",
        says="List callbacks, newest first",
        tag="Callback",
        query={**_WANTED, "state": word(*STATES), **_BEFORE},
        answers={200: shapes.feed(shapes.record(CALLBACK))},
        errors=(400,),
    ),
    Operation(
        method="GET",
        path=_COLLECTION + "{callback_id}/",
        name="getCallback",
        says="Read one callback with its attempts",
        tag="Callback",
        answers={
            200: shapes.answer({**CALLBACK, "attempts": shapes.many(shapes.record(_ATTEMPT)), "reply": or_null(_REPLY)})
        },
        errors=(404,),
    ),
    Operation(
        method="POST",
        path=_COLLECTION + "{callback_id}/Resend/",
        name="resendCallback",
        says="Send one that has ended once more, now",
        tag="Callback",
        answers={202: shapes.answer({"message": text(), "id": UUID}, says="The id is that of the new one")},
        errors=(400, 404),
    ),
    Operation(
        method="POST",
        path=_REPLAYS,
        name="startReplay",
        says="Send once more all callbacks that match, or say what that would be",
        tag="Replay",
        body=shapes.request(
            {
                **_WANTED,
                "state": word(*replays.ENDED),
                "again": shapes.FLAG,
                "rate_per_s": shapes.number(0.1, maximum=1000),
                "dry_run": shapes.FLAG,
            }
        ),
        answers={
            200: shapes.answer(
                {"dry_run": shapes.FLAG, **_TOTAL, "first": shapes.many(shapes.record(CALLBACK))},
                says="What it would send: nothing was begun",
            ),
            202: shapes.answer({"message": text(), **_REPLAY}, says="It has begun"),
        },
        errors=(400, 413),
    ),
    Operation(
        method="GET",
        path=_REPLAYS,
        name="listReplays",
        says="List replays, newest first",
        tag="Replay",
        query=_BEFORE,
        answers={200: shapes.feed(shapes.record(_REPLAY))},
        errors=(400,),
    ),
    Operation(
        method="GET",
        path=_REPLAYS + "{replay_id}/",
        name="getReplay",
        says="Read how far a replay has come",
        tag="Replay",
        answers={200: shapes.answer(_REPLAY)},
        errors=(404,),
    ),
    Operation(
        method="DELETE",
        path=_REPLAYS + "{replay_id}/",
        name="cancelReplay",
        says="End a replay; what it has sent stays sent",
        tag="Replay",
        answers={200: shapes.answer({"message": text(), **_REPLAY})},
        errors=(400, 404),
    ),
)
