"""What a webhook of a delivery alert says, as JSON (docs/alerts.md), and how the API and commands show an alert."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from ringback.model.alerts import MEANINGS, Alert, Evidence, chance_in_words

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHARES: Final = frozenset({"delivery_rate", "error_share", "no_receipt_share", "conversion_rate"})
COMPARED_WITH: Final = {
    "weeks": "the same hour of the week, median of up to four weeks",
    "days": "the same hour of the day, median of up to seven days",
    "day": "the same hour of the day before",
    "elsewhere": "what the sender, or else everybody, sent elsewhere: nothing was sent there before",
}


def alert_event(alert: Alert, *, event: str, account_id: str) -> str:
    """Return the body of a webhook; ``event`` is ``raised``, ``changed``, ``resolved`` or ``test``."""
    told = {"event": event, "auth_id": account_id, "alert": alert_record(alert)}
    return msgspec.json.encode(told).decode()


def alert_record(alert: Alert) -> dict[str, Any]:
    """Return an alert for programs. Times are UTC in ISO 8601."""
    return {
        "alert_id": alert.id,
        "kind": alert.kind.value,
        "summary": summary(alert),
        "state": alert.state.value,
        "country": alert.scope.country,
        "carrier": alert.scope.carrier,
        "sender": alert.scope.sender,
        "raised_at": _time(alert.raised_at_us),
        "last_seen_at": _time(alert.seen_at_us),
        "resolved_at": _time(alert.resolved_at_us),
        "resolved_by": alert.resolved_by,
        "acknowledged_at": _time(alert.acknowledged_at_us),
        "acknowledged_by": alert.acknowledged_by,
        "muted_until": _time(alert.muted_until_us),
        "note": alert.note,
        "first": _evidence(alert.first),
        "latest": _evidence(alert.latest),
        "worst": _evidence(alert.worst),
    }


def summary(alert: Alert) -> str:
    """Say in a line what is wrong: ``IN: fewer messages are delivered, 94.1 % before, 61.0 % now``."""
    worst = alert.worst
    code = f", mostly error {worst.error_code}" if worst.error_code else ""
    return (
        f"{alert.scope.words()}: {MEANINGS[alert.kind]}, {figure(worst.measure, worst.before)} before, "
        f"{figure(worst.measure, worst.now)} now{code}"
    )


def figure(measure: str, value: float) -> str:
    """Write a figure of a measure for people."""
    if measure in _SHARES:
        return f"{value:.1%}".replace("%", " %")
    return f"{value / 1000:.1f} s" if measure == "p95_ms" else f"{value:,.0f}"


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "measure": evidence.measure,
        "before": round(evidence.before, 5),
        "now": round(evidence.now, 5),
        "n_before": evidence.n_before,
        "n_now": evidence.n_now,
        "bad_now": evidence.bad_now,
        "chance": chance_in_words(evidence.log10_p),
        "log10_p": round(evidence.log10_p, 2),
        "compared_with": COMPARED_WITH[evidence.compared_with],
        "since": _time(evidence.since_us),
        "until": _time(evidence.until_us),
        "error_code": evidence.error_code,
        "prefixes": list(evidence.prefixes),
    }


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%SZ")
