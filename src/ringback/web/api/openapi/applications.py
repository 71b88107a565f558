"""Descriptions of the Application resource."""

from typing import Final

from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.callbacks import PLAN
from ringback.web.api.openapi.shapes import FLAG, PAGE, Operation, or_null, text, word

_COLLECTION: Final = "/v1/Account/{auth_id}/Application/"
_ONE: Final = _COLLECTION + "{app_id}/"
_URLS: Final = ("answer_url", "hangup_url", "fallback_answer_url", "message_url")
_METHODS: Final = ("answer_method", "hangup_method", "fallback_method", "message_method")

APPLICATION: Final = {
    "app_id": text(),
    "app_name": text(),
    **{name: text() for name in _URLS},
    **{name: word("GET", "POST") for name in _METHODS},
    "default_app": FLAG,
    "default_endpoint_app": FLAG,
    "enabled": FLAG,
    "public_uri": FLAG,
    "log_incoming_messages": FLAG,
    "callback_retry_delays_s": PLAN,
    "sip_uri": text(),
    "sub_account": or_null(text()),
    "resource_uri": text(),
}
_SETTINGS: Final = {
    **{name: text("Where what comes in goes", format="uri") for name in _URLS},
    **{name: word("GET", "POST") for name in _METHODS},
    "default_number_app": FLAG,
    "default_endpoint_app": FLAG,
    "log_incoming_messages": FLAG,
    "public_uri": FLAG,
    "callback_retry_delays_s": shapes.many(shapes.number(exclusiveMinimum=0, maximum=86_400), maxItems=20),
    "subaccount": text("An auth id"),
}

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=_COLLECTION,
        name="createApplication",
        says="Make an application",
        tag="Application",
        body=shapes.request({"app_name": text(pattern="^[A-Za-z0-9_-]{1,60}$"), **_SETTINGS}, required=("app_name",)),
        form=True,
        answers={201: shapes.answer({"app_id": text(), "message": text()}, says="It is made")},
        errors=(400, 413),
    ),
    Operation(
        method="GET",
        path=_COLLECTION,
        name="listApplications",
        says="List applications, newest first",
        tag="Application",
        query={**PAGE, "subaccount": text("An auth id"), "app_name": text("How the name begins")},
        answers={200: shapes.page(shapes.record(APPLICATION))},
        errors=(400, 413),
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="getApplication",
        says="Read one application",
        tag="Application",
        answers={200: shapes.answer(APPLICATION)},
        errors=(400, 404, 413),
    ),
    Operation(
        method="POST",
        path=_ONE,
        name="updateApplication",
        says="Change what is given",
        tag="Application",
        body=shapes.request(_SETTINGS),
        form=True,
        answers={202: shapes.answer({"message": text()}, says="It is changed")},
        errors=(400, 404, 413),
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        name="deleteApplication",
        says="Remove an application; what was bound to it is bound to none",
        tag="Application",
        query={"cascade": FLAG, "new_endpoint_application": text()},
        answers={204: ""},
        errors=(400, 404, 413),
    ),
)
