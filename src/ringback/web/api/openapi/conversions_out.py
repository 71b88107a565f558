"""Descriptions of conversions that are reported to a source's provider."""

from typing import Any, Final

from ringback.receiver.conversions import MOST as MOST_AT_ONCE
from ringback.receiver.sources.provider_api import VALUES
from ringback.store.conversions_out import STATES
from ringback.web.api.events import MOST, USUAL
from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import Operation, many, or_null, text, whole, word

_MESSAGE: Final = text("The message's id at the provider", minLength=1, maxLength=64)
_VALUE: Final = word(*VALUES, description="In small letters, and with -, too")
_TIME: Final = text("ISO 8601, UTC unless it says otherwise; now by default")
_SOURCE: Final = text("The name of a receiver source; may be left out where the account has one")
_ENTRY: Final[dict[str, Any]] = {"message_uuid": _MESSAGE, "value": _VALUE, "timestamp": _TIME, "source": _SOURCE}

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/conversions",
        name="reportConversions",
        says="Have a conversion, or a list of them, reported to the provider of a source; what is told is on disk",
        tag="Receiver",
        body=shapes.request(
            {
                **_ENTRY,
                "conversions": many(
                    shapes.request(_ENTRY, required=("message_uuid", "value")),
                    description=f"Instead of one: up to {MOST_AT_ONCE}, all of which are taken or none",
                ),
            }
        ),
        form=True,
        answers={
            202: shapes.answer(
                {
                    "conversions": many(
                        shapes.record(
                            {
                                "source": text(),
                                "message_uuid": text(),
                                "value": word(*VALUES),
                                "taken": word(
                                    "new",
                                    "again",
                                    "duplicate",
                                    description="again: it had failed; duplicate: the last one of the message says so",
                                ),
                            }
                        )
                    )
                },
                says="They are on disk, and reported as soon as may be",
            )
        },
        errors=(400, 413),
    ),
    Operation(
        method="GET",
        path="/conversions",
        name="listConversions",
        says="List conversions of this account's sources after a cursor, oldest first",
        tag="Receiver",
        query={
            "after": whole(0, 2**62, "The cursor to go on from"),
            "limit": whole(1, MOST, default=USUAL),
            "source": text("The name of a receiver source"),
            "message_uuid": text("The message's id at the provider"),
            "state": word(*STATES),
        },
        answers={
            200: shapes.answer(
                {
                    "conversions": many(
                        shapes.record(
                            {
                                "id": whole(1),
                                "source": text(),
                                "message_uuid": text(),
                                "value": word(*VALUES),
                                "timestamp": text("ISO 8601, UTC"),
                                "recorded_at": text("ISO 8601, UTC"),
                                "state": word(*STATES),
                                "attempts_made": whole(0),
                                "tried_at": or_null(text("ISO 8601, UTC")),
                                "next_attempt_at": or_null(text("ISO 8601, UTC")),
                                "http_status": or_null(whole(100, 999)),
                                "error": or_null(text("What the provider has answered, or why nothing came")),
                            }
                        )
                    ),
                    "after": whole(0, description="The cursor for the next request"),
                    "has_more": shapes.FLAG,
                }
            )
        },
        errors=(400,),
    ),
)
