"""Taking in what is to be reported to a provider: whether its message has served its purpose (contract section 6.10).

What is taken in is on disk; ``receiver.feedback`` reports it.
"""

from collections.abc import Mapping
from typing import Any, Final

from ringback.dialect.times import iso_time_us
from ringback.model.errors import ConfigInvalid, InvalidRequest
from ringback.receiver.forward import iso
from ringback.receiver.keep import MAX_MESSAGE_ID
from ringback.receiver.sources.provider_api import VALUES
from ringback.receiver.sources.upstream import upstream_of
from ringback.settings import SourceSettings
from ringback.store.conversions_out import ConversionOut, NewConversion

MOST: Final = 1_000
"""Conversions that one request takes."""


def value_of(text: object) -> str:
    """Return the provider's word for what somebody writes: ``converted`` and ``not-converted`` do. Raises
    ``InvalidRequest``."""
    word = text.strip().upper().replace("-", "_") if isinstance(text, str) else ""
    if word not in VALUES:
        raise InvalidRequest(f"value must be one of {', '.join(VALUES)}")
    return word


def source_of(wanted: object, sources: Mapping[str, SourceSettings]) -> str:
    """Return the source that is meant: the one that is named, or the only one there is. Raises ``InvalidRequest``.

    It is one to whose provider conversions can be reported.
    """
    if wanted is None and len(sources) == 1:
        [wanted] = sources
    if not isinstance(wanted, str) or wanted not in sources:
        named = ", ".join(sorted(sources)) or "none"
        raise InvalidRequest(f"source must be the name of a source of this account; there are: {named}")
    try:
        upstream_of(wanted, sources[wanted])
    except ConfigInvalid as error:
        raise InvalidRequest(str(error)) from error
    return wanted


def conversion_of(given: Mapping[str, Any], sources: Mapping[str, SourceSettings], *, now_us: int) -> NewConversion:
    """Read one conversion; without a ``timestamp`` it is of now. Raises ``InvalidRequest``."""
    uuid = given.get("message_uuid")
    if not isinstance(uuid, str) or not 0 < len(uuid) <= MAX_MESSAGE_ID or not uuid.isprintable():
        raise InvalidRequest(f"message_uuid must be the id of a message, of up to {MAX_MESSAGE_ID} characters")
    at_us: int | None = now_us
    if (timestamp := given.get("timestamp")) not in (None, ""):
        at_us = iso_time_us(timestamp) if isinstance(timestamp, str) else None
    if at_us is None:
        raise InvalidRequest("timestamp must be an ISO 8601 time such as 2026-01-31T12:00:00Z")
    return NewConversion(
        source=source_of(given.get("source"), sources),
        message_uuid=uuid,
        value=value_of(given.get("value")),
        converted_at_us=at_us,
    )


def shown(conversion: ConversionOut) -> dict[str, Any]:
    """Write a conversion as JSON has it."""
    due_at_us, tried_at_us = conversion.due_at_us, conversion.tried_at_us
    return {
        "id": conversion.id,
        "source": conversion.source,
        "message_uuid": conversion.message_uuid,
        "value": conversion.value,
        "timestamp": iso(conversion.converted_at_us),
        "recorded_at": iso(conversion.recorded_at_us),
        "state": conversion.state,
        "attempts_made": conversion.attempts_made,
        "tried_at": None if tried_at_us is None else iso(tried_at_us),
        "next_attempt_at": None if due_at_us is None else iso(due_at_us),
        "http_status": conversion.http_status,
        "error": conversion.error,
    }
