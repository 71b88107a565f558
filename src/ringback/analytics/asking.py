"""Questions by name, with what they take beside the filter: for programs and the command line.

Answers for them are plain: times as UTC text, money as decimal text, and otherwise what ``figures`` has.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ringback.analytics import figures
from ringback.analytics.definitions import DIMENSIONS, MEASURES
from ringback.analytics.filters import Filter
from ringback.analytics.questions import MOST_GROUPS, ORDERS, USUAL_LIMIT, Questions
from ringback.model.errors import InvalidRequest
from ringback.model.money import shown

OPTIONS: Final = ("by", "limit", "order", "measure")
_TIMES: Final = {
    "start_us": "start",
    "first_us": "first_seen",
    "last_us": "last_seen",
    "before_since_us": "before_since",
    "before_until_us": "before_until",
}
_MONEY: Final = ("cost", "cost_per_message", "cost_per_delivered", "cost_per_conversion")
_AT: Final[dict[str, Any]] = {"type": "string", "description": "UTC, ISO 8601"}
_SUM: Final[dict[str, Any]] = {"type": "string", "description": "Decimal text, in the currency's unit"}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a question takes beside the filter."""

    by: str | None = None
    limit: int = USUAL_LIMIT
    order: str = "accepted"
    measure: str = "total_ms"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question that can be asked by name."""

    says: str
    gives: type[msgspec.Struct]
    ask: Callable[[Questions, Filter, Options], Awaitable[msgspec.Struct]]
    takes: tuple[str, ...] = ()


QUESTIONS: Final[dict[str, Question]] = {
    "totals": Question(
        says="Messages by class, their rates, conversions and cost",
        gives=figures.Totals,
        ask=lambda questions, chosen, _: questions.totals(chosen),
    ),
    "compared": Question(
        says="The same for this period and for as much of the one before",
        gives=figures.Compared,
        ask=lambda questions, chosen, _: questions.compared(chosen),
    ),
    "series": Question(
        says="Messages by class over time, by when they were queued",
        gives=figures.Series,
        ask=lambda questions, chosen, _: questions.series(chosen),
    ),
    "volume": Question(
        says="Events over time, by when they happened",
        gives=figures.Volume,
        ask=lambda questions, chosen, _: questions.volume(chosen),
    ),
    "breakdown": Question(
        says="The totals of each country, carrier, sender and so on",
        gives=figures.Breakdown,
        ask=lambda questions, chosen, how: questions.breakdown(
            chosen, how.by or "country", limit=how.limit, order=how.order
        ),
        takes=("by", "limit", "order"),
    ),
    "heatmap": Question(
        says="Messages by class for each hour of the week, UTC",
        gives=figures.Heatmap,
        ask=lambda questions, chosen, _: questions.heatmap(chosen),
    ),
    "funnel": Question(
        says="How many messages came how far: accepted, sent, delivered, converted",
        gives=figures.Funnel,
        ask=lambda questions, chosen, _: questions.funnel(chosen),
    ),
    "latency": Question(
        says="Exact percentiles of every latency, of all messages or by something",
        gives=figures.Latency,
        ask=lambda questions, chosen, how: questions.latency(chosen, how.by, limit=how.limit),
        takes=("by", "limit"),
    ),
    "latency-series": Question(
        says="Exact percentiles of one latency over time",
        gives=figures.LatencySeries,
        ask=lambda questions, chosen, how: questions.latency_series(chosen, how.measure),
        takes=("measure",),
    ),
    "issues": Question(
        says="Failures grouped by error, carrier, sender and route",
        gives=figures.Issues,
        ask=lambda questions, chosen, how: questions.issues(chosen, limit=how.limit),
        takes=("limit",),
    ),
    "spend": Question(
        says="Cost of each country, carrier, sender and so on, and what a delivered or converted message costs",
        gives=figures.Spend,
        ask=lambda questions, chosen, how: questions.spend(chosen, how.by or "country", limit=how.limit),
        takes=("by", "limit"),
    ),
    "conversion": Question(
        says="Conversions of each sender, country and so on",
        gives=figures.Conversion,
        ask=lambda questions, chosen, how: questions.conversion(chosen, how.by or "sender", limit=how.limit),
        takes=("by", "limit"),
    ),
}


def read_options(question: Question, given: Mapping[str, str]) -> Options:
    """Read what a question takes. Raises ``InvalidRequest`` for what is malformed, or of another question."""
    for name in OPTIONS:
        if name in given and name not in question.takes:
            taken = f"it takes {', '.join(question.takes)}" if question.takes else "it takes filters only"
            raise InvalidRequest(f"{name} is no parameter of this question; {taken}")
    by, order, measure = given.get("by"), given.get("order", "accepted"), given.get("measure", "total_ms")
    if by is not None and by not in DIMENSIONS:
        raise InvalidRequest(f"by must be one of {', '.join(DIMENSIONS)}")
    if order.removeprefix("-") not in ORDERS:
        raise InvalidRequest(f"order must be one of {', '.join(ORDERS)}, with - before it for the smallest first")
    if measure not in MEASURES:
        raise InvalidRequest(f"measure must be one of {', '.join(MEASURES)}")
    limit = given.get("limit", str(USUAL_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MOST_GROUPS):
        raise InvalidRequest(f"limit must be a whole number from 1 to {MOST_GROUPS}")
    return Options(by=by, limit=int(limit), order=order, measure=measure)


def plain(answer: object) -> Any:
    """Return an answer as it is shown to programs."""
    if isinstance(answer, msgspec.Struct):
        return dict(_member(name, getattr(answer, name)) for name in answer.__struct_fields__)
    if isinstance(answer, tuple):
        return [plain(each) for each in answer]
    return answer


def time_shown(at_us: int) -> str:
    """Write a time as UTC text, whole seconds without a fraction."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).replace(microsecond=at_us % 1_000_000).isoformat()


def schema(gives: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON Schema of ``plain`` of an answer, nothing of it by reference."""
    described = msgspec.json.schema(gives)
    found: dict[str, Any] = _inlined(described, described["$defs"])
    return found


def _member(name: str, value: Any) -> tuple[str, Any]:
    if name in _TIMES:
        return _TIMES[name], time_shown(value)
    if name == "step_us":
        return "step_s", value // 1_000_000
    if name in _MONEY:
        return name, None if value is None else shown(value)
    return name, plain(value)


def _inlined(part: Any, named: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_inlined(each, named) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(named[part["$ref"].rpartition("/")[2]], named)
    made = {name: _inlined(each, named) for name, each in part.items() if name not in ("$defs", "title", "properties")}
    if "properties" in part:
        members = dict(_described(name, each, named) for name, each in part["properties"].items())
        made |= {"properties": members, "required": list(members)}
    return made


def _described(name: str, member: Any, named: Mapping[str, Any]) -> tuple[str, Any]:
    if name in _TIMES:
        return _TIMES[name], _AT
    if name == "step_us":
        return "step_s", {"type": "integer", "description": "How long a bucket is, in seconds"}
    if name in _MONEY:
        return name, _SUM if name == "cost" else {**_SUM, "type": ["string", "null"]}
    return name, _inlined(member, named)
