"""Tables and columns for people who ask their own: read from ``tables.py``, so that there is one place for them."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from ringback.analytics.tables import DDL, MESSAGE_COLUMNS

_COLUMN: Final = re.compile(r'^ {4}"?(\w+)"? (\w+)( NOT NULL)?( PRIMARY KEY)?,? *(?:-- *(.*))?$')
_EVENTS: Final = re.compile(r"CREATE TABLE IF NOT EXISTS events \((.*?)\n\)", re.DOTALL)
_MEANINGS: Final = {
    "origin": "'ringback', or the name of the source that told of it",
    "account_id": "whose it is",
    "src": "the sender: a number or a name",
    "dst_prefix": "the recipient without the last four digits",
    "mcc": "mobile country code of the recipient's network",
    "mnc": "mobile network code",
    "route": "the route that chose the connector",
    "error_code": "why it was not delivered",
    "units": "parts that are paid for",
    "queued_at": "accepted, UTC",
    "sent_at": "taken by the carrier, UTC",
    "final_at": "told its end, UTC",
    "converted_at": "told of the conversion, UTC",
    "message_uuid": "the message",
    "sequence": "which of the message's events it is",
    "status": "what the message became",
    "at": "when, UTC",
}
"""Of those to which ``tables.py`` says nothing."""


class Column(msgspec.Struct, frozen=True):
    """A column as questions see it."""

    name: str
    type: str
    may_be_null: bool
    meaning: str


class Table(msgspec.Struct, frozen=True):
    """A table as questions see it."""

    name: str
    meaning: str
    columns: Sequence[Column]


def _columns(text: str) -> list[Column]:
    found = [match for line in text.splitlines() if (match := _COLUMN.match(line))]
    return [
        Column(name, kind, not required, meaning or _MEANINGS.get(name, ""))
        for name, kind, required, _, meaning in (match.groups() for match in found)
    ]


_events = _EVENTS.search(DDL)
TABLES: Final = (
    Table("messages", "one row for each message, as it stands now", _columns(MESSAGE_COLUMNS)),
    Table("events", "one row for each thing that happened to a message", _columns(_events[1] if _events else "")),
)

EXAMPLES: Final = (
    (
        "Delivery by country, last 7 days",
        """SELECT country, count(*) AS messages,
  round(100 * count(*) FILTER (status = 'delivered') / count(*), 1) AS delivered_pct
FROM messages
WHERE queued_at > now() - INTERVAL 7 DAYS AND direction = 'outbound'
GROUP BY country
ORDER BY messages DESC""",
    ),
    (
        "Slowest carriers: time to delivery, ms",
        """SELECT carrier, any_value(network) AS network, count(*) AS delivered,
  quantile_cont(total_ms, 0.5)::BIGINT AS p50, quantile_cont(total_ms, 0.95)::BIGINT AS p95
FROM messages
WHERE status = 'delivered' AND queued_at > now() - INTERVAL 1 DAY
GROUP BY carrier
HAVING count(*) >= 20
ORDER BY p95 DESC
LIMIT 20""",
    ),
    (
        "Errors by hour",
        """SELECT time_bucket(INTERVAL 1 HOUR, queued_at) AS hour, error_code, count(*) AS messages
FROM messages
WHERE status IN ('failed', 'undelivered') AND queued_at > now() - INTERVAL 1 DAY
GROUP BY ALL
ORDER BY hour, messages DESC""",
    ),
    (
        "Each sender's share that converted",
        """SELECT src, count(*) AS expected,
  count(*) FILTER (conversion LIKE 'CONVERTED%') / count(*) AS converted
FROM messages
WHERE trackable
GROUP BY src
ORDER BY expected DESC
LIMIT 50""",
    ),
    (
        "What has come twice, late or out of order",
        """SELECT origin, flag, count(*) AS events, max("at") AS newest
FROM events
WHERE flag IS NOT NULL
GROUP BY ALL
ORDER BY events DESC""",
    ),
)
"""Questions to begin with: what they are called, and their SQL."""
