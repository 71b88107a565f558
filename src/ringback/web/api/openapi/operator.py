"""Descriptions of the operator's resources: carriers and routes."""

from typing import Any, Final

from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import Operation, Schema, many, or_null, text, whole, word
from ringback.web.api.operator import MAX_REASON

_CARRIERS: Final = "/v1/Operator/Carrier/"
_CARRIER: Final = _CARRIERS + "{name}/"
_ROUTES: Final = "/v1/Operator/Route/"
_ROUTE: Final = _ROUTES + "{name}/"

_KIND: Final = word("simulator", "smpp", "plivo")
_SOURCE: Final = word("file", "command", description="Who may change it: the settings file, or commands and this API")
_LINK: Final = shapes.record(
    {
        "process": text(),
        "at_us": whole(0, description="When the process said this, in microseconds since 1970 (UTC)"),
        "state": word("up", "connecting", "down", "stopped"),
        "since_us": whole(0),
        "detail": text(),
        "window_used": whole(0),
        "window_allowed": or_null(whole(0)),
        "rate_per_s": shapes.number(description="Parts handed over a second, lately"),
        "errors": {"type": "object", "additionalProperties": whole(0)},
        "exchanges": many(shapes.record({"at_us": whole(0), "direction": word("in", "out"), "what": text()})),
    }
)
CARRIER: Final = {
    "name": text(),
    "kind": _KIND,
    "settings": {"type": "object", "description": "What is secret is `set` or `not set`"},
    "capacity": or_null(whole(1)),
    "paused": shapes.FLAG,
    "reason": or_null(text()),
    "source": _SOURCE,
    "routes": many(text()),
    "links": many(_LINK),
}
_ROUTE_FIELDS: Final[dict[str, Schema]] = {
    "prefix": text(pattern=r"^\d{0,15}$"),
    "mcc": or_null(text(pattern=r"^\d{3}$")),
    "mnc": or_null(text(pattern=r"^\d{2,3}$")),
    "sender": text("With * and ? as in a shell"),
    "account": or_null(text()),
    "type": or_null(word("sms", "mms")),
    "priority": {"type": "integer"},
    "weight": whole(0, 1_000_000),
    "on_unknown": word("resubmit", "wait"),
    "receipt_timeout_s": whole(0, 31_536_000),
    "failover_codes": many(text()),
}
ROUTE: Final = {"name": text(), "carrier": text(), **_ROUTE_FIELDS, "paused": shapes.FLAG, "source": _SOURCE}


def _operation(method: str, path: str, name: str, says: str, **more: Any) -> Operation:
    return Operation(method=method, path=path, name=name, says=says, tag="Operator", of_operator=True, **more)


_CHANGED: Final = {200: shapes.answer(CARRIER, says="The carrier as it is now")}
_ROUTE_CHANGED: Final = {200: shapes.answer(ROUTE, says="The route as it is now")}

OPERATIONS: Final = (
    _operation(
        "GET",
        _CARRIERS,
        "listCarriers",
        "List carriers, with how their links are in each process",
        answers={200: shapes.answer({"objects": many(shapes.record(CARRIER))})},
    ),
    _operation("GET", _CARRIER, "getCarrier", "Read one carrier", answers={200: shapes.answer(CARRIER)}, errors=(404,)),
    _operation(
        "POST",
        _CARRIER,
        "setCarrier",
        "Make a carrier, or give one other settings",
        body=shapes.request(
            {"kind": _KIND, "settings": {"type": "object"}, "capacity": or_null(whole(1))}, required=("kind",)
        ),
        answers=_CHANGED,
        errors=(400, 404, 413),
    ),
    _operation(
        "DELETE",
        _CARRIER,
        "removeCarrier",
        "Forget a carrier that no route leads to",
        answers={204: ""},
        errors=(400, 404),
    ),
    _operation(
        "POST",
        _CARRIER + "Pause/",
        "pauseCarrier",
        "Hold its messages back",
        body=shapes.request({"reason": text(maxLength=MAX_REASON)}),
        answers=_CHANGED,
        errors=(400, 404, 413),
    ),
    _operation(
        "POST", _CARRIER + "Resume/", "resumeCarrier", "Let its messages go", answers=_CHANGED, errors=(400, 404, 413)
    ),
    _operation(
        "POST", _CARRIER + "Rebind/", "rebindCarrier", "Make its links anew", answers=_CHANGED, errors=(400, 404, 413)
    ),
    _operation(
        "GET",
        _ROUTES,
        "listRoutes",
        "List routes by name",
        answers={200: shapes.answer({"objects": many(shapes.record(ROUTE))})},
    ),
    _operation(
        "POST",
        _ROUTE,
        "setRoute",
        "Make a route, or replace the one of its name",
        body=shapes.request({"carrier": text(), **_ROUTE_FIELDS}, required=("carrier",)),
        answers=_ROUTE_CHANGED,
        errors=(400, 404, 413),
    ),
    _operation("DELETE", _ROUTE, "removeRoute", "Forget a route", answers={204: ""}, errors=(400, 404)),
    _operation(
        "POST",
        _ROUTE + "Pause/",
        "pauseRoute",
        "Take it out of the choice",
        answers=_ROUTE_CHANGED,
        errors=(400, 404, 413),
    ),
    _operation(
        "POST",
        _ROUTE + "Resume/",
        "resumeRoute",
        "Let it be chosen again",
        answers=_ROUTE_CHANGED,
        errors=(400, 404, 413),
    ),
)
