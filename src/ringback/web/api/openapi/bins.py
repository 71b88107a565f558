"""Descriptions of bins: of their resource, and of where they take requests."""

from typing import Final

from ringback.model.passwords import MAX_PASSWORD
from ringback.web.api.bins import FORMATS, MAX_EXPORT, MAX_LIMIT, MAX_TEXT, MAX_WAIT_S, NUMBER_DIGITS
from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import Operation, Schema, many, or_null, text, whole, word

_COLLECTION: Final = "/v1/bins/"
_ONE: Final = _COLLECTION + "{bin}/"
_CAPTURES: Final = _ONE + "captures/"

_TIME: Final[Schema] = text("UTC, such as 2026-01-31T12:00:00.000000Z", pattern=r"^\d{4}-\d\d-\d\dT[\d:.]{15}Z$")
_CURSOR: Final = whole(0, 10**NUMBER_DIGITS)
_LIMIT: Final = whole(1, MAX_LIMIT, default=20)

_STEP: Final = {
    "kind": word("answer", "hang", "reset", "slow"),
    "times": whole(1, description="How many requests it is for"),
    "status": whole(200, 599),
    "headers": many(many(text())),
    "body": text(),
    "body_base64": text(),
    "delay_s": shapes.number(),
    "seconds": or_null(shapes.number(description="For hang and slow")),
}
_SCRIPT: Final = shapes.record(
    {
        "steps": many(shapes.record({}, optional=_STEP)),
        "per": word("bin", "callback"),
        "then": word("stay", "repeat"),
    }
)
BIN: Final = {
    "name": text(),
    "url": text("Where it takes requests, at and below"),
    "created_time": _TIME,
    "captures": whole(1, description="How many it holds at most"),
    "megabytes": whole(1),
    "retention_hours": whole(0),
    "has_password": shapes.FLAG,
    "script": or_null(_SCRIPT),
    "held": whole(0),
    "held_bytes": whole(0),
    "last_number": whole(0, description="The number of its newest capture ever"),
}
_SAID: Final = {
    "captures": or_null(whole(1, description="How many it holds at most; the oldest go first")),
    "megabytes": or_null(whole(1, description="How much it holds at most")),
    "retention_hours": or_null(whole(0, description="0 for as long as there is room")),
    "password": or_null(text("Reads this bin, with its name as user", maxLength=MAX_PASSWORD)),
    "script": {"type": ["string", "object", "array", "null"], "description": "Such as 500x2,200, or as it is shown"},
}
HEAD: Final = {
    "number": whole(1, description="1, 2, 3 … within the bin"),
    "received_time": _TIME,
    "method": text(),
    "path": text("As on the request line"),
    "query": text(),
    "headers": many(many(text()), description="Names and values as they came"),
    "from_ip": text(),
    "body_bytes": whole(0),
    "cut": or_null(text("Why the body is not whole")),
    "group": text("The same for requests that say the same"),
    "attempt": whole(1, description="Which of those this is"),
    "answer": text(),
    "answered_status": or_null(whole(100)),
    "duration_us": or_null(whole(0)),
    "outcome": or_null(text("How answering ended; null until then")),
}
_HEADS: Final = many(shapes.record(HEAD))


def _operation(method: str, path: str, name: str, says: str, **more: object) -> Operation:
    return Operation(method=method, path=path, name=name, says=says, tag="Bin", **more)  # type: ignore[arg-type]


def _door(method: str) -> Operation:
    return Operation(
        method=method,
        path="/bin/{bin}",
        name=f"capture{method.title()}",
        says="Capture a request, here or at any path below, and answer as the bin's script says",
        tag="Bin",
        body={} if method in {"POST", "PUT", "PATCH"} else None,
        body_type="application/octet-stream",
        answers={200: ""},
        errors=(404, 413, 429, 500, 503),
        with_credentials=False,
    )


OPERATIONS: Final = (
    _operation(
        "GET", _COLLECTION, "listBins", "List bins by name",
        query={"limit": _LIMIT, "after": text("What next said")},
        answers={200: shapes.feed(shapes.record(BIN))}, errors=(400,),
    ),
    _operation(
        "POST", _COLLECTION, "createBin", "Make a bin",
        body=shapes.request({"name": text("Up to 64 of a-z, 0-9, - and _; one is found when there is none"), **_SAID}),
        answers={201: shapes.answer(BIN, says="The bin")}, errors=(400, 413),
    ),
    _operation(
        "GET", _CAPTURES + "{capture}/", "readCapture", "Read one capture, with its body",
        answers={200: shapes.answer(HEAD, optional={"body": text(), "body_base64": text()})}, errors=(404,),
    ),
    _operation(
        "GET", _CAPTURES + "{capture}/body/", "readCapturedBody", "Read a body as it came",
        answers={200: "application/octet-stream"}, errors=(404,),
    ),
    _operation(
        "GET", _ONE + "wait/", "waitForCaptures", "Wait until there are so many after a cursor",
        query={
            "count": whole(1, MAX_LIMIT, default=1), "timeout_s": whole(0, MAX_WAIT_S, default=30), "after": _CURSOR,
        },
        answers={200: shapes.answer({"met": shapes.FLAG, "objects": _HEADS})}, errors=(400, 404),
    ),
    _operation(
        "GET", _ONE + "export/", "exportCaptures", "Write captures for another tool",
        query={
            "format": word(*FORMATS), "after": _CURSOR, "limit": whole(1, MAX_EXPORT), "number": whole(1, 10**15),
        },
        answers={200: "*/*"}, errors=(400, 404),
    ),
    _operation(
        "GET", _CAPTURES, "listCaptures", "List what it holds: oldest first after a cursor, or newest first",
        query={
            "after": _CURSOR, "before": _CURSOR, "limit": _LIMIT,
            "search": text("In body, headers and target, as it stands", maxLength=MAX_TEXT),
        },
        answers={200: shapes.answer({"objects": _HEADS, "next": {"type": ["integer", "null"]}})}, errors=(400, 404),
    ),
    _operation(
        "DELETE", _CAPTURES, "clearBin", "Remove what it holds",
        answers={200: shapes.answer({"removed": whole(0)})}, errors=(404,),
    ),
    *(_door(method) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
    _operation("GET", _ONE, "readBin", "Read one bin", answers={200: shapes.answer(BIN)}, errors=(404,)),
    _operation(
        "POST", _ONE, "changeBin", "Change what is given; null takes script or password away",
        body=shapes.request(_SAID), answers={200: shapes.answer(BIN, says="The bin as it is now")},
        errors=(400, 404, 413),
    ),
    _operation("DELETE", _ONE, "deleteBin", "Remove it with all that it holds", answers={204: ""}, errors=(404,)),
)  # fmt: skip
