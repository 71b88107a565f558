"""Descriptions of received events, as programs fetch them."""

from typing import Any, Final

from ringback.model.vocabulary import Why, Word
from ringback.web.api.events import MOST, USUAL
from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import UUID, Operation, many, or_null, text, whole, word

_EVENT: Final[dict[str, Any]] = {
    "cursor": whole(1, description="Its place: whoever has seen it goes on after it"),
    "id": UUID,
    "source": text(),
    "provider": text(),
    "received_at": text("UTC, ISO 8601"),
    "flag": word(
        "",
        "duplicate",
        "out_of_order",
        "late",
        "reconciled",
        description="Why it is no news; empty when it is; reconciled: no callback, but of the provider's list",
    ),
    "status": word(*Word, description="Our word"),
}
_SAID: Final[dict[str, Any]] = {
    "kind": word("status", "inbound"),
    "rank": whole(0, description="How far along the message is: a lower one than seen before is old news"),
    "message_id": text(),
    "their_status": text("The provider's word, in small letters"),
    "from_number": text(),
    "to_number": text(),
    "sequence": or_null(whole(0)),
    "type": or_null(text()),
    "error_code": or_null(text()),
    "why": or_null(word(*Why)),
    "mcc": or_null(text()),
    "mnc": or_null(text()),
    "units": or_null(whole(0)),
    "total_amount": or_null(text("Decimal text")),
    "text": or_null(text()),
    "media_urls": many(text()),
    "intent": or_null(text()),
    "happened_at": or_null(text("As the provider writes it")),
    "raw": many(many(text()), description="Every parameter as it came: name, value"),
}
_SOURCE: Final = text("The name of a receiver source")
_AFTER: Final = whole(0, 2**62, "The cursor to go on from")

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/events",
        name="listEvents",
        says="List received events of this account's sources after a cursor, oldest first",
        tag="Receiver",
        query={"after": _AFTER, "limit": whole(1, MOST, default=USUAL), "source": _SOURCE},
        answers={
            200: shapes.answer(
                {
                    "events": many(shapes.record(_EVENT, optional=_SAID)),
                    "after": whole(0, description="The cursor for the next request"),
                    "has_more": shapes.FLAG,
                }
            )
        },
        errors=(400,),
    ),
    Operation(
        method="GET",
        path="/events/stream",
        name="streamEvents",
        says="Stream received events as they come (server-sent events); Last-Event-ID goes on from a cursor",
        tag="Receiver",
        query={"after": _AFTER, "source": _SOURCE},
        answers={200: "text/event-stream; charset=utf-8"},
        errors=(400,),
    ),
)
