"""Which captures are attempts at one and the same thing, and whether their times are those of the retry ladder."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal, Protocol
from urllib.parse import parse_qsl

import msgspec

from ringback.dialect.callbacks import FORM, missing_params, read_status
from ringback.dialect.inbound import missing_inbound_params, read_inbound

MAX_FIELDS: Final = 200

_NAMES: Final = ("webhook-id", "idempotency-key")
"""Headers by which senders name what they send again (Standard Webhooks 1.0.0, webhook headers)."""

EARLY_US: Final = 500_000
LATE_US: Final = 5_000_000
"""How far a retry may be from its planned time and still be on it: a sender's clock, and its queue."""


def key_of(method: str, target: tuple[str, str], headers: Sequence[tuple[str, str]], body: bytes) -> str:
    """Return what is the same for requests that say the same: 40 hexadecimal digits.

    ``target`` is path and query. A callback is named by its message and status, others by a header that names them, or
    else by all that is in them but for their headers.
    """
    path, query = target
    named = {name.lower(): value for name, value in headers}
    params = _params(method, query, named, body)
    if not missing_params(params):
        report = read_status(params)
        return _digest("status", path, report.message_uuid, report.status)
    if not missing_inbound_params(params):
        return _digest("inbound", path, read_inbound(params).message_uuid)
    for name in _NAMES:
        if named.get(name):
            return _digest(name, path, named[name])
    return _digest("same", method, path, query, body)


def _params(method: str, query: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    try:
        if method == "GET":
            return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            return {}
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        return {}


def _digest(*parts: str | bytes) -> str:
    hashed = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        hashed.update(b"%d:" % len(content) + content)
    return hashed.hexdigest()[:40]


Verdict = Literal["", "on time", "early", "late", "beyond the ladder"]


class Timed(Protocol):
    """What a capture says of its time."""

    @property
    def received_at_us(self) -> int:
        """When it came."""
        ...

    @property
    def duration_us(self) -> int | None:
        """How long it was until it was answered."""
        ...


class Pause(msgspec.Struct, frozen=True):
    """The time between two attempts."""

    pause_us: int
    """From the end of the attempt before, as far as that is known, as senders plan by it."""
    planned_us: int | None
    verdict: Verdict


def pauses(attempts: Sequence[Timed], plan_s: Sequence[float]) -> list[Pause]:
    """Return the pause before each attempt but the first, against the ladder of a plan."""
    found = []
    for at, (before, attempt) in enumerate(pairwise(attempts)):
        pause_us = attempt.received_at_us - before.received_at_us - (before.duration_us or 0)
        planned_us = round(plan_s[at] * 1_000_000) if at < len(plan_s) else None
        found.append(Pause(pause_us, planned_us, _verdict(pause_us, planned_us)))
    return found


def _verdict(pause_us: int, planned_us: int | None) -> Verdict:
    if planned_us is None:
        return "beyond the ladder"
    if pause_us < planned_us - EARLY_US:
        return "early"
    return "late" if pause_us > planned_us + LATE_US else "on time"
