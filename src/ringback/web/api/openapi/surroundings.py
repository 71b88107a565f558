"""Descriptions of what is no resource: probes, the receiver of callbacks, and this document."""

from typing import Final

from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import Operation, text

PATH: Final = "/openapi.json"
"""Where the document is served."""

_PLAIN: Final = "text/plain; charset=utf-8"
_METRICS: Final = "text/plain"

_PARAMETERS: Final = {
    "MessageUUID": text(),
    "Status": text(),
    "From": text(),
    "To": text(),
}


_INBOUND: Final = {"MessageUUID": text(), "From": text(), "To": text()}


def _probe(path: str, name: str, says: str, answers: dict[int, str]) -> Operation:
    return Operation(
        method="GET", path=path, name=name, says=says, tag="Probe", answers=answers, with_credentials=False
    )


def _hook(method: str, path: str, name: str, *, brings: str = "status callback") -> Operation:
    parameters = _PARAMETERS if brings == "status callback" else _INBOUND
    return Operation(
        method=method,
        path=path,
        name=name,
        says=f"Take in a provider's {brings}: verified by its signature, stored, then answered",
        tag="Receiver",
        query=parameters if method == "GET" else {},
        body=shapes.request(parameters, required=tuple(parameters)) if method == "POST" else None,
        form=True,
        answers={200: ""},
        errors=(400, 403, 404, 413, 500, 503),
        with_credentials=False,
    )


OPERATIONS: Final = (
    _probe("/livez", "isAlive", "Whether the process answers", {200: _PLAIN}),
    _probe("/readyz", "isReady", "Whether it should be sent requests", {200: _PLAIN, 503: _PLAIN}),
    _probe("/metrics", "readMetrics", "Figures for Prometheus", {200: _METRICS}),
    _hook("POST", "/hooks/{source}/sms_status", "takeCallback"),
    _hook("GET", "/hooks/{source}/sms_status", "takeCallbackByGet"),
    _hook("POST", "/hooks/{source}/sms_inbound", "takeMessage", brings="inbound message"),
    _hook("GET", "/hooks/{source}/sms_inbound", "takeMessageByGet", brings="inbound message"),
    _hook("POST", "/hooks/{source}", "takeEither", brings="status callback or inbound message"),
    _hook("GET", "/hooks/{source}", "takeEitherByGet", brings="status callback or inbound message"),
    _hook("POST", "/hooks/carriers/{carrier}/sms_status", "takeReceipt"),
    _hook("GET", "/hooks/carriers/{carrier}/sms_status", "takeReceiptByGet"),
    _hook("POST", "/hooks/carriers/{carrier}/sms_inbound", "takePhonesMessage", brings="inbound message"),
    _hook("GET", "/hooks/carriers/{carrier}/sms_inbound", "takePhonesMessageByGet", brings="inbound message"),
    Operation(
        method="GET",
        path=PATH,
        name="describe",
        says="This document",
        tag="Probe",
        answers={200: shapes.record({"openapi": text(), "info": shapes.record({}), "paths": shapes.record({})})},
        with_credentials=False,
    ),
)
