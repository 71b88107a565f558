"""Descriptions of the Message resource."""

from typing import Final

from ringback.dialect.send import EXPIRY_S, LOG_MODES, MAX_URL_LENGTH
from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import MONEY, PAGE, TIME, UUID, Operation, or_null, text, word

_COLLECTION: Final = "/v1/Account/{auth_id}/Message/"

MESSAGE: Final = {
    "message_uuid": UUID,
    "resource_uri": text(),
    "message_direction": word("outbound", "inbound"),
    "message_state": word("queued", "sent", "delivered", "undelivered", "failed", "received"),
    "message_type": word("sms", "mms"),
    "message_time": TIME,
    "message_sent_time": or_null(TIME),
    "message_updated_time": TIME,
    "from_number": text(),
    "to_number": text("Masked when log hides it"),
    "units": shapes.whole(0),
    "total_rate": MONEY,
    "total_amount": MONEY,
    "carrier_fees": MONEY,
    "carrier_fees_rate": MONEY,
    "error_code": or_null(text()),
    "error_message": text(),
    "powerpack_id": or_null(text()),
    "requester_ip": text(),
    "is_domestic": or_null(shapes.FLAG),
    "replaced_sender": or_null(text()),
    "destination_country_iso2": or_null(text()),
    "destination_network": text(),
    "tendlc_campaign_id": or_null(text()),
    "tendlc_registration_status": or_null(text()),
    "dlt_entity_id": text(),
    "dlt_template_id": text(),
    "dlt_template_category": text(),
    "conversation_id": text(),
    "conversation_origin": text(),
    "conversation_expiration_timestamp": text(),
    "log": word(*LOG_MODES),
}

_SEND: Final = shapes.request(
    {
        "src": text("Sender: a number, or a name of up to 11 letters and digits"),
        "powerpack_uuid": text("Chooses the sender, in place of src", format="uuid"),
        "dst": text("Destinations with country code, several joined with <"),
        "text": text("At most 1,600 GSM characters, or 737 UTF-16 code units"),
        "type": word("sms", "mms"),
        "media_urls": shapes.many(text(format="uri"), maxItems=10, description="What an MMS carries, from elsewhere"),
        "media_ids": shapes.many(UUID, maxItems=10, description="What an MMS carries, uploaded before"),
        "url": text("Where callbacks go", format="uri", maxLength=MAX_URL_LENGTH),
        "method": word("POST", "GET", description="For the callbacks"),
        "callback_retry_delays_s": shapes.many(
            shapes.number(exclusiveMinimum=0, maximum=86_400), maxItems=20, description="An addition: the retry plan"
        ),
        "log": word(*LOG_MODES),
        "trackable": shapes.FLAG,
        "message_expiry": shapes.whole(EXPIRY_S[0], EXPIRY_S[-1], "Seconds"),
    },
    required=("dst",),
)

_FILTERS: Final = {
    **{
        f"message_time{suffix}": text("UTC, YYYY-MM-DD HH:MM[:ss[.uuuuuu]]")
        for suffix in ("", "__gt", "__gte", "__lt", "__lte")
    },
    **{
        name: text()
        for name in ("message_state", "message_type", "message_direction", "error_code", "from_number", "to_number")
    },
    "destination_country_iso2": text(),
    "subaccount": text("An auth id"),
}

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=_COLLECTION,
        name="sendMessage",
        says="Send a text to one or many destinations",
        tag="Message",
        body=_SEND,
        form=True,
        answers={
            202: shapes.answer(
                {"message": text(), "message_uuid": shapes.many(UUID, minItems=1)},
                optional={"invalid_number": shapes.many(text())},
                says="All messages are on disk; one uuid for each valid destination, in the order given",
            )
        },
        errors=(400, 413),
    ),
    Operation(
        method="GET",
        path=_COLLECTION,
        name="listMessages",
        says="List messages, newest first; without a time, those of the last 24 hours",
        tag="Message",
        query={**PAGE, **_FILTERS},
        answers={200: shapes.page(shapes.record(MESSAGE))},
        errors=(400,),
    ),
    Operation(
        method="GET",
        path=_COLLECTION + "{message_uuid}/",
        name="getMessage",
        says="Read one message",
        tag="Message",
        answers={200: shapes.answer(MESSAGE)},
        errors=(404,),
    ),
)
