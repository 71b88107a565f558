"""The Application resource on the wire (contract section 6.1)."""

import re
from typing import Any, Final

import msgspec

from ringback.dialect import arguments
from ringback.dialect.arguments import METHODS, Fields
from ringback.dialect.send import retry_plan
from ringback.model.application import Application
from ringback.model.errors import InvalidRequest
from ringback.model.retry import stored_plan

MAX_NAME: Final = 60
RETRY_DELAYS: Final = "callback_retry_delays_s"
"""An addition: the retry plan of callbacks to ``message_url``."""

_NAME: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_NAME}}}", re.ASCII)
_URLS: Final = ("answer_url", "hangup_url", "fallback_answer_url", "message_url")
_METHODS: Final = ("answer_method", "hangup_method", "fallback_method", "message_method")
_FLAGS: Final = {
    "default_number_app": "is_default_number_app",
    "default_endpoint_app": "is_default_endpoint_app",
    "public_uri": "is_public_uri",
    "log_incoming_messages": "log_incoming_messages",
}


def name(fields: Fields) -> str:
    """Return the name of a new application. Raises ``InvalidRequest``."""
    given = arguments.required(fields, "app_name")
    if _NAME.fullmatch(given) is None:
        raise InvalidRequest(f"app_name must be 1 to {MAX_NAME} letters, digits, - and _")
    return given


def settings(fields: Fields) -> dict[str, Any]:
    """Return what a request sets, by field of ``Application``; name and subaccount apart. Raises ``InvalidRequest``."""
    found: dict[str, Any] = {url: arguments.url(fields, url) for url in _URLS}
    found |= {method: arguments.choice(fields, method, METHODS) for method in _METHODS}
    found |= {field: arguments.flag(fields, flag) for flag, field in _FLAGS.items()}
    kept = {field: value for field, value in found.items() if value is not None}
    if RETRY_DELAYS in fields:
        # An empty text goes back to what is less specific.
        plan = retry_plan(fields)
        kept["retry_delays"] = plan.stored() if plan else None
    return kept


def record(application: Application, caller_id: str) -> dict[str, Any]:
    """Return an application as the API shows it."""
    kept = msgspec.structs.asdict(application)
    main, sub = application.account_id, application.subaccount_id
    return {
        "app_id": application.app_id,
        "app_name": application.name,
        **{url: kept[url] for url in _URLS},
        **{method: kept[method] for method in _METHODS},
        "default_app": application.is_default_number_app,
        "default_endpoint_app": application.is_default_endpoint_app,
        "enabled": True,
        "public_uri": application.is_public_uri,
        "log_incoming_messages": application.log_incoming_messages,
        RETRY_DELAYS: None if application.retry_delays is None else stored_plan(application.retry_delays).delays_s,
        "sip_uri": f"sip:{application.app_id}@app.plivo.com",
        "sub_account": sub and f"/v1/Account/{main}/Subaccount/{sub}/",
        "resource_uri": uri(caller_id, application.app_id),
    }


def uri(caller_id: str, app_id: str) -> str:
    """Return where an application is found."""
    return f"/v1/Account/{caller_id}/Application/{app_id}/"


def app_id_in(value: str) -> str:
    """Return the id of an application that is named by it or by its URI."""
    return value.rstrip("/").rpartition("/")[2]
