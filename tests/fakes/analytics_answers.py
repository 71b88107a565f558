"""What the questions of the analytics must give, counted slowly and obviously: dicts and loops, no SQL.

Messages and events are the rows of ``tests.fakes.analytics``. Answers are plain dicts, as ``msgspec.to_builtins`` makes
of the real ones; names that people call things by are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ringback.analytics.filters import Filter

Message = Mapping[str, Any]

COLUMN_OF = {
    "country": "country", "carrier": "carrier", "sender": "src", "route": "route", "connector": "connector",
    "error": "error_code", "account": "account_id", "origin": "origin", "type": "type",
}  # fmt: skip
STEPS = [60, 300, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800]
MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001 - as DuckDB's
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001


def us(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def rate(part: int, whole: int) -> float | None:
    return None if whole == 0 else part / whole


class Answers:
    """Answers about some messages and events, as they are at ``now``."""

    def __init__(
        self,
        messages: Sequence[Message],
        events: Sequence[Mapping[str, Any]],
        *,
        now: datetime,
        no_receipt_hours: int,
        sent_counts_as_delivered: Sequence[str] = (),
    ) -> None:
        self.messages = messages
        self.events = events
        self.now = now
        self.stale = now.replace(second=0, microsecond=0) - timedelta(hours=no_receipt_hours)
        self.sent_is_delivered = sent_counts_as_delivered

    # ---- which messages ----

    def class_of(self, message: Message) -> str:
        status: str = message["status"]
        if status == "queued":
            return "pending"
        if status != "sent":
            return status
        if message["country"] in self.sent_is_delivered:
            return "delivered"
        sent = message["sent_at"] if message["sent_at"] is not None else message["queued_at"]
        return "no_dlr" if sent < self.stale else "pending"

    def fits(self, message: Message, chosen: Filter) -> bool:
        """Whether a message is as the fields say, whenever it was queued."""
        if chosen.account_id is not None and message["account_id"] != chosen.account_id:
            return False
        if chosen.direction and message["direction"] not in chosen.direction:
            return False
        for field in ("origin", "country", "carrier", "sender", "route", "connector", "error", "type"):
            wanted = getattr(chosen, field)
            value = message[COLUMN_OF[field]]
            if wanted and ("none" if value is None else value) not in wanted:
                return False
        return not chosen.status or any(self.is_of(message, status) for status in chosen.status)

    def is_of(self, message: Message, status: str) -> bool:
        if status in ("queued", "sent"):
            return bool(message["status"] == status)
        return self.class_of(message) == status

    def chosen(self, chosen: Filter) -> list[Message]:
        return [
            message
            for message in self.messages
            if chosen.since_us <= us(message["queued_at"]) < chosen.until_us and self.fits(message, chosen)
        ]

    # ---- figures of some messages ----

    def statuses(self, messages: Iterable[Message]) -> dict[str, Any]:
        counts = dict.fromkeys(("delivered", "undelivered", "failed", "no_dlr", "pending", "received"), 0)
        accepted = sent = assumed = with_receipt = delivered_by_receipt = 0
        for message in messages:
            accepted += 1
            counts[self.class_of(message)] += 1
            if message["status"] in ("sent", "delivered", "undelivered"):
                sent += 1
            if message["status"] in ("delivered", "undelivered"):
                with_receipt += 1
            if message["status"] == "delivered":
                delivered_by_receipt += 1
            elif self.class_of(message) == "delivered":
                assumed += 1
        ended = counts["delivered"] + counts["undelivered"] + counts["failed"]
        return {
            "accepted": accepted,
            **counts,
            "sent": sent,
            "assumed": assumed,
            "delivery_rate": rate(counts["delivered"], ended),
            "dlr_rate": rate(with_receipt, sent),
            "strict_rate": rate(delivered_by_receipt, accepted),
            "no_dlr_rate": rate(counts["no_dlr"], sent),
        }

    def sums(self, messages: Sequence[Message]) -> dict[str, Any]:
        trackable = [message for message in messages if message["trackable"] or message["conversion"]]
        converted = [message for message in messages if message["conversion"] == "CONVERTED"]
        elsewhere = [message for message in messages if message["conversion"] == "CONVERTED_WITH_OTHERS"]
        return {
            **self.statuses(messages),
            "trackable": len(trackable),
            "converted": len(converted),
            "converted_elsewhere": len(elsewhere),
            "conversion_rate": rate(len(converted), len(trackable)),
            "units": sum(message["units"] or 0 for message in messages),
            "cost": sum(message["cost"] or 0 for message in messages),
            "unpriced": sum(1 for message in messages if message["cost"] is None),
            "flagged": sum(message["flagged"] for message in messages),
        }

    def totals_of(self, messages: Sequence[Message]) -> dict[str, Any]:
        took = [message["total_ms"] for message in messages]
        return {
            **self.sums(messages),
            "total_p50_ms": percentile(took, 50),
            "total_p95_ms": percentile(took, 95),
        }

    # ---- answers ----

    def totals(self, chosen: Filter) -> dict[str, Any]:
        return self.totals_of(self.chosen(chosen))

    def series(self, chosen: Filter) -> dict[str, Any]:
        step, starts = buckets_of(chosen)
        made = []
        for start in starts:
            counts = self.statuses(self._queued_in(chosen, start, step))
            made.append(
                {**counts, "start_us": us(start), "settling": self._settling(chosen, start + step, counts)},
            )
        return {"step_us": step // timedelta(microseconds=1), "buckets": made}

    def latency_series(self, chosen: Filter, measure: str) -> dict[str, Any]:
        step, starts = buckets_of(chosen)
        made = []
        for start in starts:
            inside = self._queued_in(chosen, start, step)
            settling = self._settling(chosen, start + step, self.statuses(inside))
            made.append({"start_us": us(start), "spread": spread(inside, measure), "settling": settling})
        return {"measure": measure, "step_us": step // timedelta(microseconds=1), "buckets": made}

    def volume(self, chosen: Filter) -> dict[str, Any]:
        ids = {message["message_uuid"] for message in self.messages if self.fits(message, chosen)}
        step, starts = buckets_of(chosen)
        made = []
        for start in starts:
            inside = [
                event
                for event in self.events
                if start <= event["at"] < start + step
                and chosen.since_us <= us(event["at"]) < chosen.until_us
                and event["message_uuid"] in ids
            ]
            by_status: dict[str, int] = {}
            for event in inside:
                if event["flag"] is None:
                    by_status[event["status"]] = by_status.get(event["status"], 0) + 1
            flagged = sum(1 for event in inside if event["flag"] is not None)
            made.append({"start_us": us(start), "events": len(inside), "by_status": by_status, "flagged": flagged})
        return {"step_us": step // timedelta(microseconds=1), "buckets": made}

    def breakdown(self, chosen: Filter, by: str) -> dict[str | None, dict[str, Any]]:
        everything = self._for(chosen, by)
        return {
            key: {**self.totals_of(messages), "share": len(messages) / len(everything)}
            for key, messages in grouped(everything, COLUMN_OF[by]).items()
        }

    def heatmap(self, chosen: Filter) -> list[dict[str, Any]]:
        cells = []
        for weekday in range(7):
            for hour in range(24):
                inside = [
                    message
                    for message in self.chosen(chosen)
                    if (message["queued_at"].weekday(), message["queued_at"].hour) == (weekday, hour)
                ]
                cells.append({**self.statuses(inside), "weekday": weekday, "hour": hour})
        return cells

    def latency(self, chosen: Filter, by: str | None) -> dict[str | None, dict[str, Any]]:
        groups = {None: self.chosen(chosen)} if by is None else grouped(self._for(chosen, by), COLUMN_OF[by])
        measures = ("queue_ms", "carrier_ms", "total_ms", "lag_ms")
        return {
            key: {"accepted": len(messages), **{measure: spread(messages, measure) for measure in measures}}
            for key, messages in groups.items()
        }

    def funnel(self, chosen: Filter) -> list[tuple[str, int, int, float | None]]:
        found = self.totals(chosen)
        stages = (("accepted", "accepted"), ("sent", "accepted"), ("delivered", "sent"), ("converted", "trackable"))
        return [(name, found[name], found[of], rate(found[name], found[of])) for name, of in stages]

    def issues(self, chosen: Filter) -> dict[tuple[Any, ...], dict[str, Any]]:
        failures = [message for message in self.chosen(chosen) if message["status"] in ("undelivered", "failed")]
        found: dict[tuple[Any, ...], list[Message]] = {}
        for message in failures:
            key = (message["error_code"], message["carrier"], message["src"], message["route"])
            found.setdefault(key, []).append(message)
        made = {}
        for key, messages in found.items():
            times = [us(message["final_at"] or message["queued_at"]) for message in messages]
            failed = sum(1 for message in messages if message["status"] == "failed")
            made[key] = {
                "count": len(messages), "failed": failed, "undelivered": len(messages) - failed,
                "share": len(messages) / len(failures), "first_us": min(times), "last_us": max(times),
            }  # fmt: skip
        return made

    def spend(self, chosen: Filter, by: str) -> tuple[dict[str, Any], dict[str | None, dict[str, Any]]]:
        everything = self._for(chosen, by)
        total = self.sums(everything)["cost"]
        groups = grouped(everything, COLUMN_OF[by])
        return self._spent(everything, total), {key: self._spent(each, total) for key, each in groups.items()}

    def conversion(self, chosen: Filter, by: str) -> tuple[dict[str, Any], dict[str | None, dict[str, Any]]]:
        everything = self._for(chosen, by)
        groups = {key: self._converted(each) for key, each in grouped(everything, COLUMN_OF[by]).items()}
        return self._converted(everything), {key: each for key, each in groups.items() if each["trackable"]}

    # ---- parts ----

    def _for(self, chosen: Filter, by: str) -> list[Message]:
        if by != "error":
            return self.chosen(chosen)
        return [
            message
            for message in self.chosen(chosen)
            if message["error_code"] not in (None, "000") or message["status"] in ("undelivered", "failed")
        ]

    def _queued_in(self, chosen: Filter, start: datetime, step: timedelta) -> list[Message]:
        return [message for message in self.chosen(chosen) if start <= message["queued_at"] < start + step]

    def _settling(self, chosen: Filter, end: datetime, counts: Mapping[str, Any]) -> bool:
        end = min(end, EPOCH + timedelta(microseconds=chosen.until_us))
        return self.now - end < timedelta(minutes=15) or counts["pending"] > counts["accepted"] / 10

    def _spent(self, messages: Sequence[Message], total: int) -> dict[str, Any]:
        found = self.sums(messages)
        priced = found["accepted"] - found["unpriced"]
        return {
            **{name: found[name] for name in ("accepted", "delivered", "converted", "units", "cost", "unpriced")},
            "share": rate(found["cost"], total),
            "cost_per_message": each_of(found["cost"], priced),
            "cost_per_delivered": each_of(found["cost"], found["delivered"]),
            "cost_per_conversion": each_of(found["cost"], found["converted"]),
        }

    def _converted(self, messages: Sequence[Message]) -> dict[str, Any]:
        found = self.sums(messages)
        said_no = sum(1 for message in messages if message["conversion"] == "NOT_CONVERTED")
        untold = sum(1 for message in messages if message["trackable"] and message["conversion"] is None)
        return {
            **{name: found[name] for name in ("accepted", "trackable", "converted", "converted_elsewhere")},
            "not_converted": said_no,
            "untold": untold,
            "conversion_rate": found["conversion_rate"],
        }


def percentile(values: Iterable[int | None], percent: int) -> int | None:
    """Of ``n`` values in order the one at ``n * percent / 100``, rounded up."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    place = -(-len(ordered) * percent // 100)
    return ordered[place - 1]


def spread(messages: Sequence[Message], measure: str) -> dict[str, Any]:
    values = [message[measure] for message in messages if message[measure] is not None]
    return {"count": len(values), **{f"p{percent}": percentile(values, percent) for percent in (50, 90, 95, 99)}}


def grouped(messages: Iterable[Message], column: str) -> dict[str | None, list[Message]]:
    groups: dict[str | None, list[Message]] = {}
    for message in messages:
        groups.setdefault(message[column], []).append(message)
    return groups


def each_of(amount: int, count: int) -> int | None:
    """What one costs, rounded half up."""
    return None if count == 0 else int(amount / count + 0.5)


def buckets_of(chosen: Filter) -> tuple[timedelta, list[datetime]]:
    """How long buckets are, and when each begins."""
    since, until = (EPOCH + timedelta(microseconds=at) for at in (chosen.since_us, chosen.until_us))
    fitting = [timedelta(seconds=step) for step in STEPS if 120 * timedelta(seconds=step) >= until - since]
    step = fitting[0] if fitting else timedelta(days=7)
    start = MONDAY
    if since >= start:
        start += (since - start) // step * step
    starts = []
    while start < until:
        starts.append(start)
        start += step
    return step, starts


def by_key(groups: Iterable[Mapping[str, Any]], leave_out: Sequence[str] = ("key", "name")) -> dict[Any, Any]:
    """Groups of a real answer by their keys."""
    return {group["key"]: {name: value for name, value in group.items() if name not in leave_out} for group in groups}
