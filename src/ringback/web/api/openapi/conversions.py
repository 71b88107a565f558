"""Description of conversion feedback."""

from typing import Final

from ringback.web.api.conversions import STATUSES
from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import UUID, Operation, text, word

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/Account/{auth_id}/Message/{message_uuid}/Conversion/",
        name="reportConversion",
        says="Say whether a trackable message led to what it was for; the last word counts",
        tag="Message",
        body=shapes.request(
            {"status": word(*STATUSES), "timestamp": text("ISO 8601, UTC unless it says otherwise")},
            required=("status", "timestamp"),
        ),
        form=True,
        answers={
            200: shapes.answer(
                {"conversion_uuid": text(), "message": text(), "message_uuid": UUID}, says="It is on disk"
            )
        },
        errors=(400, 404, 413),
    ),
)
