"""The filter of the analytics: which messages a question is about, and how a URL says so.

``period=24h`` or ``since=…&until=…``, and fields such as ``country=IN&country=US&carrier=404-20``: values of one field
are alternatives, fields narrow each other. ``none`` is the value of messages that have none. The command line and the
JSON API have the same grammar.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from ringback.analytics.definitions import STATUSES, Rules, instant, is_of, step_us
from ringback.model.errors import InvalidRequest

PERIODS: Final = ("24h", "7d", "30d", "90d")
"""Those that pages offer; others, such as 90m or 45d, are understood too."""
USUAL_PERIOD: Final = "24h"
NONE: Final = "none"
MOST_VALUES: Final = 50
MOST_DAYS: Final = 1_100
_UNITS_S: Final = {"m": 60, "h": 3_600, "d": 86_400}
_PERIOD: Final = re.compile(r"([1-9]\d{0,6})([mhd])", re.ASCII)
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

FIELDS: Final[dict[str, str]] = {
    "origin": "origin",
    "direction": "direction",
    "country": "country",
    "carrier": "carrier",
    "sender": "src",
    "route": "route",
    "connector": "connector",
    "error": "error_code",
    "type": '"type"',
}
"""Fields that name a value of a column; ``status`` and ``account`` are the others."""

_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,64}")
_SHAPES: Final[dict[str, tuple[re.Pattern[str], str]]] = {
    "country": (re.compile(r"[A-Z]{2}|none"), "a country's two letters, such as IN"),
    "carrier": (re.compile(r"\d{3}-\d{2,3}|none", re.ASCII), "MCC-MNC, such as 404-20"),
    "error": (re.compile(r"[A-Za-z0-9_.-]{1,32}", re.ASCII), "an error code, such as 30"),
    "direction": (re.compile("outbound|inbound"), "outbound or inbound"),
    "type": (re.compile("sms|mms|none"), "sms or mms"),
    "status": (re.compile("|".join(STATUSES)), "one of " + ", ".join(STATUSES)),
    "account": (re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII), "an account's auth id"),
}
_BESIDE_FIELDS: Final = ("account", "compare", "period", "since", "status", "until")


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that were queued from ``since_us`` until before ``until_us``, and are as the fields say."""

    since_us: int
    until_us: int
    account_id: str | None = None
    """Of this account only."""
    origin: tuple[str, ...] = ()
    direction: tuple[str, ...] = ("outbound",)
    country: tuple[str, ...] = ()
    carrier: tuple[str, ...] = ()
    sender: tuple[str, ...] = ()
    route: tuple[str, ...] = ()
    connector: tuple[str, ...] = ()
    error: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    period: str | None = None
    """How the URL says the times, when it says them as a period up to now."""
    compare: bool = False
    """Whether pages show the period before as well."""


Given = Mapping[str, str] | Sequence[tuple[str, str]]
"""Parameters of a URL: a mapping, also one that holds several values of a name, or pairs."""


def read_filter(params: Given, *, now_us: int, account_id: str | None = None, beside: Collection[str] = ()) -> Filter:
    """Read the filter of a URL; ``account_id`` is of who looks, if they may see one account only, and always wins.

    ``beside`` names parameters that are somebody else's. Raises ``InvalidRequest`` for unknown and malformed ones.
    """
    told = _gathered(params, beside)
    since_us, until_us, period = _times(told, now_us)
    accounts = _values(told, "account")
    if len(accounts) > 1:
        raise InvalidRequest("account must be one account's auth id")
    return Filter(
        since_us=since_us,
        until_us=until_us,
        period=period,
        account_id=account_id or (accounts[0] if accounts else None),
        compare=_compare(told),
        status=_values(told, "status"),
        **{name: found for name in FIELDS if (found := _values(told, name))},
    )


def as_params(chosen: Filter, *, with_account: bool = True) -> list[tuple[str, str]]:
    """Return a filter as parameters of a URL; defaults are left out."""
    params: list[tuple[str, str]] = []
    if chosen.period is None:
        params += [("since", written(chosen.since_us)), ("until", written(chosen.until_us))]
    elif chosen.period != USUAL_PERIOD:
        params.append(("period", chosen.period))
    if with_account and chosen.account_id is not None:
        params.append(("account", chosen.account_id))
    for name in (*FIELDS, "status"):
        values: tuple[str, ...] = getattr(chosen, name)
        if (name, values) != ("direction", ("outbound",)):
            params += [(name, value) for value in values]
    if chosen.compare:
        params.append(("compare", "previous"))
    return params


def previous(chosen: Filter, *, now_us: int) -> Filter:
    """Return the period before: as long, and of that no more than has passed of this one, to compare like with like."""
    span_us = chosen.until_us - chosen.since_us
    until_us = max(min(chosen.until_us, now_us), chosen.since_us) - span_us
    since_us = chosen.since_us - span_us
    return msgspec.structs.replace(
        chosen, since_us=since_us, until_us=max(until_us, since_us), period=None, compare=False
    )


def condition(chosen: Filter, rules: Rules) -> tuple[str, list[object]]:
    """Return what a row of ``messages`` must fulfil, as SQL with ``?``, and what is given for them."""
    sql, given = attributes(chosen, rules)
    times = f"queued_at >= {instant(chosen.since_us)} AND queued_at < {instant(chosen.until_us)}"
    return f"{times}{sql}", given


def attributes(chosen: Filter, rules: Rules) -> tuple[str, list[object]]:
    """Return the part of ``condition`` that is not about the time, each line beginning with ``AND``."""
    parts: list[str] = []
    given: list[object] = []
    if chosen.account_id is not None:
        parts.append("account_id = ?")
        given.append(chosen.account_id)
    for name, column in FIELDS.items():
        values: tuple[str, ...] = getattr(chosen, name)
        if values and not (name == "direction" and len(set(values)) == 2):
            parts.append(_one_of(column, values, given))
    if chosen.status:
        parts.append("(" + " OR ".join(is_of(status, rules) for status in chosen.status) + ")")
    return "".join(f"\n  AND {part}" for part in parts), given


def _one_of(column: str, values: Sequence[str], given: list[object]) -> str:
    named = [value for value in values if value != NONE]
    given += named
    alternatives = []
    if named:
        alternatives.append(f"{column} IN ({', '.join('?' * len(named))})" if len(named) > 1 else f"{column} = ?")
    if NONE in values:
        alternatives.append(f"{column} IS NULL")
    return "(" + " OR ".join(alternatives) + ")"


def _gathered(params: Given, beside: Collection[str]) -> dict[str, list[str]]:
    several: Callable[[], Sequence[tuple[str, str]]] | None = getattr(params, "multi_items", None)
    plain = list(params.items()) if isinstance(params, Mapping) else params
    pairs = plain if several is None else several()
    known = {*FIELDS, *_BESIDE_FIELDS}
    told: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in beside:
            continue
        if name not in known:
            raise InvalidRequest(f"{name[:64]} is no filter; there are {', '.join(sorted(known))}")
        if value.strip():
            told.setdefault(name, []).append(value.strip())
    return told


def _values(told: Mapping[str, list[str]], name: str) -> tuple[str, ...]:
    values: dict[str, None] = {}
    for text in told.get(name, ()):
        for piece in text.split(","):
            value = piece.strip().upper() if name == "country" and piece.strip().lower() != NONE else piece.strip()
            shape, says = _SHAPES.get(name, (_NAME, "1 to 64 characters"))
            if shape.fullmatch(value) is None:
                raise InvalidRequest(f"{name} must be {says}; several are divided by commas")
            values[value] = None
    if len(values) > MOST_VALUES:
        raise InvalidRequest(f"{name} may have {MOST_VALUES} values at most")
    return tuple(values)


def _one(told: Mapping[str, list[str]], name: str) -> str | None:
    values = told.get(name, [])
    if len(set(values)) > 1:
        raise InvalidRequest(f"{name} may be given once")
    return values[0] if values else None


def _compare(told: Mapping[str, list[str]]) -> bool:
    value = _one(told, "compare")
    if value not in (None, "previous"):
        raise InvalidRequest("compare must be previous, or be left out")
    return value == "previous"


def _times(told: Mapping[str, list[str]], now_us: int) -> tuple[int, int, str | None]:
    period, since, until = (_one(told, name) for name in ("period", "since", "until"))
    if period is not None and (since is not None or until is not None):
        raise InvalidRequest("give either period, or since and until")
    if since is None and until is None:
        return _period_up_to(period or USUAL_PERIOD, now_us)
    until_us = now_us if until is None else time_us(until, "until", now_us=now_us)
    if since is None:
        raise InvalidRequest("with until, since is needed: 24h, or UTC such as 2026-01-31T12:00")
    since_us = time_us(since, "since", now_us=now_us)
    if not since_us < until_us <= since_us + MOST_DAYS * 86_400_000_000:
        raise InvalidRequest(f"since must be before until, by {MOST_DAYS} days at most")
    return since_us, until_us, None


def _period_up_to(period: str, now_us: int) -> tuple[int, int, str]:
    """Give so many whole buckets, the last of which is now: the same question for as long as that one lasts."""
    found = _PERIOD.fullmatch(period)
    span_us = int(found[1]) * _UNITS_S[found[2]] * 1_000_000 if found else 0
    if not 0 < span_us <= MOST_DAYS * 86_400_000_000:
        raise InvalidRequest(
            f"period must be {', '.join(PERIODS)}, or another number of minutes, hours or days up to {MOST_DAYS}d"
        )
    step = min(step_us(span_us), 86_400_000_000)
    until_us = now_us // step * step + step
    return until_us - span_us, until_us, period


def time_us(text: str, name: str, *, now_us: int) -> int:
    """Read a time in microseconds: so long ago, such as ``24h``, or UTC in ISO 8601. Raises ``InvalidRequest``."""
    if found := _PERIOD.fullmatch(text):
        at_us = now_us - int(found[1]) * _UNITS_S[found[2]] * 1_000_000
    else:
        try:
            at = datetime.fromisoformat(text)
            at = at.replace(tzinfo=at.tzinfo or UTC)
            at_us = round(at.timestamp() * 1_000_000)
        except (ValueError, OverflowError) as error:
            raise InvalidRequest(
                f"{name} must be so long ago, such as 90m, 24h or 7d, or UTC such as 2026-01-31T12:00"
            ) from error
    if not _EARLIEST.timestamp() * 1_000_000 <= at_us <= _LATEST.timestamp() * 1_000_000:
        raise InvalidRequest(f"{name} must be a time from {_EARLIEST.year} to {_LATEST.year}")
    return at_us


def written(at_us: int) -> str:
    """Write a time as ``time_us`` reads it, with no more digits than it needs."""
    at = datetime.fromtimestamp(at_us // 1_000_000, UTC)
    text = f"{at:%Y-%m-%dT%H:%M:%S}"
    if at_us % 1_000_000:
        return f"{text}.{at_us % 1_000_000:06d}"
    return text.removesuffix(":00") if at.second == 0 else text
