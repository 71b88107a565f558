"""Descriptions of the Endpoint resource."""

from typing import Final

from ringback.web.api.callbacks import MAX_LIMIT
from ringback.web.api.endpoints import MAX_PER_MINUTE, MAX_REASON, STATES
from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.callbacks import PLAN
from ringback.web.api.openapi.shapes import TIME, Operation, or_null, text, word

_COLLECTION: Final = "/v1/Account/{auth_id}/Endpoint/"
_ONE: Final = _COLLECTION + "{endpoint_id}/"

ENDPOINT: Final = {
    "id": text(pattern="^[0-9a-f]{32}$"),
    "endpoint": text("Scheme, host and port"),
    "state": word(*STATES),
    "reason": or_null(text()),
    "paused_by": or_null(word("account", "operator")),
    "failures": shapes.whole(0),
    "probe_time": or_null(TIME),
    "parked_time": or_null(TIME),
    "concurrency": or_null(shapes.whole(1)),
    "rate_per_minute": or_null(shapes.whole(1)),
    "retry_delays_s": PLAN,
    "keep_parked": or_null(shapes.FLAG),
}
_CHANGED: Final = shapes.answer({"message": text(), **ENDPOINT}, says="The endpoint as it is now")

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_COLLECTION,
        name="listEndpoints",
        says="List endpoints by id",
        tag="Endpoint",
        query={
            "state": word(*STATES),
            "limit": shapes.whole(1, MAX_LIMIT, default=20),
            "after": text("What next said"),
        },
        answers={200: shapes.feed(shapes.record(ENDPOINT))},
        errors=(400,),
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="getEndpoint",
        says="Read one endpoint: its circuit and its limits",
        tag="Endpoint",
        answers={200: shapes.answer(ENDPOINT)},
        errors=(404,),
    ),
    Operation(
        method="POST",
        path=_ONE,
        name="configureEndpoint",
        says="Set limits; null goes back to the settings, what is not given stays",
        tag="Endpoint",
        body=shapes.request(
            {
                "concurrency": or_null(shapes.whole(1, description="At most delivery.endpoint_concurrency")),
                "rate_per_minute": or_null(shapes.whole(1, MAX_PER_MINUTE)),
                "retry_delays_s": PLAN,
                "keep_parked": or_null(shapes.FLAG),
            }
        ),
        answers={200: _CHANGED},
        errors=(400, 404, 413),
    ),
    Operation(
        method="POST",
        path=_ONE + "Pause/",
        name="pauseEndpoint",
        says="Hold its callbacks back",
        tag="Endpoint",
        body=shapes.request({"reason": text(maxLength=MAX_REASON)}),
        answers={200: _CHANGED},
        errors=(400, 404, 413),
    ),
    Operation(
        method="POST",
        path=_ONE + "Resume/",
        name="resumeEndpoint",
        says="Let its callbacks go again",
        tag="Endpoint",
        body=shapes.request({}),
        answers={200: _CHANGED},
        errors=(400, 403, 404, 413),
    ),
)
