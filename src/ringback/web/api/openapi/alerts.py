"""Descriptions of the delivery alerts."""

from typing import Any, Final

from ringback.dialect.delivery_alerts import COMPARED_WITH
from ringback.model.alerts import Kind, State
from ringback.web.api.alerts import MAX_HOURS, MAX_NOTE, MOST
from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import Operation, Schema, many, or_null, text, whole, word

_ALERTS: Final = "/v1/Operator/Alert/"
_ALERT: Final = _ALERTS + "{alert_id}/"
_KIND: Final = word(*(each.value for each in Kind))
_STATE: Final = word(*(each.value for each in State))
_AT: Final = text("UTC, such as 2026-01-31T12:00:00Z", pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
_NOTE: Final = text(maxLength=MAX_NOTE)
_EVIDENCE: Final = shapes.record(
    {
        "measure": text("What before and now are, such as delivery_rate"),
        "before": shapes.number(),
        "now": shapes.number(),
        "n_before": whole(0),
        "n_now": whole(0),
        "bad_now": whole(0),
        "chance": text("Of such a difference where nothing has changed"),
        "log10_p": {"type": "number", "description": "The same, as its decimal logarithm"},
        "compared_with": word(*COMPARED_WITH.values()),
        "since": _AT,
        "until": _AT,
        "error_code": or_null(text()),
        "prefixes": many(text(), description="Ranges of numbers, without their last four digits"),
    }
)
ALERT: Final[dict[str, Schema]] = {
    "alert_id": shapes.UUID,
    "kind": _KIND,
    "summary": text(),
    "state": _STATE,
    "country": or_null(text()),
    "carrier": or_null(text("MCC-MNC")),
    "sender": or_null(text()),
    "raised_at": _AT,
    "last_seen_at": _AT,
    "resolved_at": or_null(_AT),
    "resolved_by": or_null(text("itself, merged, or who did it")),
    "acknowledged_at": or_null(_AT),
    "acknowledged_by": or_null(text()),
    "muted_until": or_null(_AT),
    "note": text(),
    "first": _EVIDENCE,
    "latest": _EVIDENCE,
    "worst": _EVIDENCE,
}
_HISTORY: Final = many(
    shapes.record({"at_us": whole(0), "what": text(), "by": text("Empty for Ringback itself"), "detail": text()})
)
_CHANGED: Final = {200: shapes.answer(ALERT, says="The alert as it is now")}


def _operation(method: str, path: str, name: str, says: str, **more: Any) -> Operation:
    return Operation(method=method, path=path, name=name, says=says, tag="Operator", of_operator=True, **more)


OPERATIONS: Final = (
    _operation(
        "GET",
        _ALERTS,
        "listAlerts",
        "List alerts, newest first",
        query={"state": _STATE, "kind": _KIND, "limit": whole(1, MOST)},
        answers={200: shapes.answer({"objects": many(shapes.record(ALERT))})},
        errors=(400,),
    ),
    _operation(
        "GET",
        _ALERT,
        "getAlert",
        "Read one alert with its history",
        answers={200: shapes.answer({**ALERT, "history": _HISTORY})},
        errors=(404,),
    ),
    _operation(
        "POST",
        _ALERTS + "Test/",
        "testAlerts",
        "Send a test webhook",
        answers={202: shapes.answer({"callback_id": shapes.UUID, "url": text()})},
        errors=(400, 413),
    ),
    _operation(
        "POST",
        _ALERT + "Acknowledge/",
        "acknowledgeAlert",
        "Note that somebody sees to it",
        body=shapes.request({"note": _NOTE}),
        answers=_CHANGED,
        errors=(400, 404, 413),
    ),
    _operation(
        "POST",
        _ALERT + "Mute/",
        "muteAlert",
        "Send and raise nothing of the same for some hours",
        body=shapes.request({"note": _NOTE, "hours": whole(1, MAX_HOURS)}),
        answers=_CHANGED,
        errors=(400, 404, 413),
    ),
    _operation(
        "POST", _ALERT + "Unmute/", "unmuteAlert", "End its being muted", answers=_CHANGED, errors=(400, 404, 413)
    ),
    _operation(
        "POST",
        _ALERT + "Resolve/",
        "resolveAlert",
        "End it by hand",
        body=shapes.request({"note": _NOTE}),
        answers=_CHANGED,
        errors=(400, 404, 413),
    ),
)
