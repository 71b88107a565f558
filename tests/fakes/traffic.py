"""Weeks of traffic with its seasons, and incidents of every kind put into it, as rows of the analytics tables.

Everything is drawn in the database from hashes of a seed: the same seed gives the same messages. Volume goes up and
down with the hour and the weekday; one country in two sleeps at other hours; a campaign sends bursts of its own, a
holiday halves everything. Recipients lie in ranges, receipts take a lognormal time, and every carrier has an ordinary
rate of failures that wanders from week to week.
"""

import random
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ringback.analytics.alert_facts import DAY_US, MINUTE_US
from ringback.analytics.tables import DDL
from ringback.model.alerts import Kind, Scope

HOUR_US: Final = 60 * MINUTE_US
EPOCH_US: Final = 1_764_547_200_000_000
"""A Monday, 2025-12-01: where traffic begins."""
NEW_CARRIER: Final = "999-01"
"""Of a country that nobody has sent to before."""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something that goes wrong, from and until when, and how badly."""

    kind: Kind
    scope: Scope
    begins_us: int
    ends_us: int
    size: float
    """The share of messages that fail, are silent, or do not convert in addition; how many times as slow; how many
    times the messages."""
    code: str = "30"
    """Of failures; empty for several codes."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of one sender to one carrier."""

    sender: str
    country: str
    carrier: str
    per_hour: float
    """On average over a week."""
    fails: float
    silent: float
    median_s: float
    converts: float
    """0: none is tracked."""
    phase_h: int
    weekend: float
    ranges: int


COUNTRIES: Final = ("IN", "BR", "DE", "GB", "ID", "MX", "NG", "US", "PH", "FR", "ZA", "ES")
CODES: Final = ("10", "20", "30", "40", "50", "450")


def streams(seed: int, per_hour: float, senders: int = 40) -> list[Stream]:
    """Return who sends where; ``per_hour`` is the average over all, with a few large ones and many small."""
    draw = random.Random(seed)
    weights: list[tuple[Stream, float]] = []
    carriers = {
        country: [f"{300 + at * 7}-{number:02d}" for number in range(1, 2 + max(1, 4 - at // 3))]
        for at, country in enumerate(COUNTRIES)
    }
    ordinary = {
        each: (draw.uniform(0.01, 0.07), draw.uniform(0.005, 0.03)) for all_ in carriers.values() for each in all_
    }
    for number in range(senders):
        homes = draw.sample(COUNTRIES, k=draw.choice((1, 1, 2, 3, 5)))
        tracks = draw.random() < 0.5
        for at, country in enumerate(homes):
            place = COUNTRIES.index(country)
            for order, carrier in enumerate(carriers[country]):
                fails, silent = ordinary[carrier]
                stream = Stream(
                    sender=f"S{number:03d}",
                    country=country,
                    carrier=carrier,
                    per_hour=0,
                    fails=fails,
                    silent=0.97 if country == "US" else silent,
                    median_s=draw.uniform(2, 9),
                    converts=draw.uniform(0.6, 0.85) if tracks else 0.0,
                    phase_h=place % 6,
                    weekend=draw.uniform(0.35, 1.1),
                    ranges=draw.randint(150, 600),
                )
                weight = (1 / (number + 1.5)) * (1 / (at + 1)) * (1 / (order + 1)) * (1 / (place + 4)) * 4
                weights.append((stream, weight))
    total = sum(weight for _, weight in weights)
    return [msgspec.structs.replace(each, per_hour=per_hour * weight / total) for each, weight in weights]


_ROWS: Final = """
INSERT INTO closed_messages
WITH hours AS (
    SELECT s.*, h.hour, {epoch} + h.hour * 3600000000 AS begins_us,
        (h.hour + s.phase_h) % 24 AS local, (h.hour // 24) % 7 AS weekday, h.hour // 168 AS week
    FROM streams s, range(0, {last_hour}) h(hour)
    WHERE list_contains({days}, h.hour // 24)
),
rates AS (
    SELECT *, per_hour * (1 + 0.75 * sin((local - 8) * 2 * pi() / 24)) * CASE WHEN weekday >= 5 THEN weekend ELSE 1 END
        * exp(0.18 * sqrt(-2 * ln({u_hour} + 1e-9)) * cos(2 * pi() * {u_hour_2}))
        * coalesce((SELECT product(b.times) FROM bursts b
            WHERE hours.begins_us >= b.begins_us AND hours.begins_us < b.ends_us
            AND (b.sender IS NULL OR b.sender = hours.sender) AND (b.country IS NULL OR b.country = hours.country)), 1)
        AS rate
    FROM hours
),
drawn AS (
    SELECT r.*, n.n, {u_at} AS u_at, {u_fail} AS u_fail, {u_silent} AS u_silent, {u_time} AS u_time,
        {u_time_2} AS u_time_2, {u_convert} AS u_convert, {u_range} AS u_range, {u_code} AS u_code,
        {u_hurt} AS u_hurt,
        -- From week to week an ordinary rate of failures wanders by a quarter.
        fails * (0.75 + 0.5 * {u_week}) AS fails_now
    FROM rates r, range(0, 100000) n(n) WHERE n.n < floor(rate + {u_round})
),
timed AS (SELECT *, begins_us + (u_at * 3600000000)::BIGINT AS at_us FROM drawn),
hurt AS (
    SELECT t.*,
        coalesce((SELECT max(i.size) FROM incidents i WHERE i.kind IN ('delivery_drop', 'error_spike') AND {hit}), 0)
            AS more_fails,
        coalesce((SELECT max(i.code) FROM incidents i WHERE i.kind IN ('delivery_drop', 'error_spike') AND {hit}), '')
            AS hurt_code,
        coalesce((SELECT max(i.size) FROM incidents i WHERE i.kind = 'no_receipt_spike' AND {hit}), 0) AS more_silent,
        coalesce((SELECT max(i.size) FROM incidents i WHERE i.kind = 'latency_rise' AND {hit}), 1) AS slower,
        coalesce((SELECT max(i.size) FROM incidents i WHERE i.kind = 'conversion_drop' AND {hit}), 0) AS unconverted,
        EXISTS (SELECT 1 FROM incidents i WHERE i.kind = 'volume_drop' AND {hit} AND t.u_hurt < i.size) AS is_gone
    FROM timed t
),
judged AS (
    SELECT *, CASE WHEN u_hurt < more_fails OR u_fail < fails_now THEN 'failed'
        WHEN u_silent < silent + more_silent * (1 - silent) THEN 'silent' ELSE 'delivered' END AS fate,
        (1000 * slower * median_s * exp(0.6 * sqrt(-2 * ln(u_time + 1e-9)) * cos(2 * pi() * u_time_2)))::BIGINT AS took
    FROM hurt WHERE NOT is_gone
)
SELECT uuid() AS message_uuid, NULL, 'ringback', 'MA0', 'outbound', 'sms', sender,
    country || floor(u_range * u_range * ranges)::INTEGER, country, split_part(carrier, '-', 1),
    split_part(carrier, '-', 2), NULL, carrier, 'c1', 'r1',
    CASE fate WHEN 'silent' THEN 'sent' WHEN 'failed' THEN 'undelivered' ELSE 'delivered' END,
    CASE WHEN fate <> 'failed' THEN NULL WHEN u_hurt < more_fails AND hurt_code <> '' THEN hurt_code
        ELSE ['10', '20', '30', '40', '50', '450'][1 + floor(u_code * 6)::INTEGER] END,
    1, 100, converts > 0,
    make_timestamp(at_us), make_timestamp(at_us + 300000),
    CASE WHEN fate <> 'silent' THEN make_timestamp(at_us + took * 1000) END,
    300, took - 300, CASE WHEN fate = 'delivered' THEN took END, 0, 0,
    CASE WHEN converts > 0 AND fate <> 'failed' AND u_convert < converts * (1 - unconverted) THEN 'CONVERTED' END,
    CASE WHEN converts > 0 AND fate <> 'failed' AND u_convert < converts * (1 - unconverted)
        THEN make_timestamp(at_us + took * 1000 + 25000000) END
FROM judged
"""
_HIT: Final = """t.at_us >= i.begins_us AND t.at_us < i.ends_us AND (i.country IS NULL OR i.country = t.country)
    AND (i.carrier IS NULL OR i.carrier = t.carrier) AND (i.sender IS NULL OR i.sender = t.sender)"""
_PUMPED: Final = """
INSERT INTO closed_messages
SELECT uuid(), NULL, 'ringback', 'MA0', 'outbound', 'sms', ?, ? || 'P' || (n % 3), ?, split_part(?, '-', 1),
    split_part(?, '-', 2), NULL, ?, 'c1', 'r1', 'delivered', NULL, 1, 100, true, make_timestamp(at_us),
    make_timestamp(at_us + 300000), make_timestamp(at_us + 5000000), 300, 4700, 5000, 0, 0, NULL, NULL
FROM (SELECT n, ?::BIGINT + (n * ?::DOUBLE)::BIGINT AS at_us FROM range(0, ?) r(n))
"""


def _uniform(name: str, seed: int, *columns: str) -> str:
    """Return an expression for a number between 0 and 1 that depends on these columns only."""
    return f"(hash({', '.join(columns)}, '{name}', {seed}) % 1000003 / 1000003.0)"


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """More or fewer messages for a while, and nothing is wrong."""

    begins_us: int
    ends_us: int
    times: float
    sender: str | None = None
    country: str | None = None


def fill(
    connection: Any,
    *,
    seed: int,
    sent: Sequence[Stream],
    days: Sequence[int],
    incidents: Sequence[Incident],
    bursts: Sequence[Burst] = (),
) -> int:
    """Fill the tables of a DuckDB connection with days since ``EPOCH_US``; returns how many messages there are."""
    connection.execute(DDL)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE streams (sender VARCHAR, country VARCHAR, carrier VARCHAR, per_hour DOUBLE, "
        "fails DOUBLE, silent DOUBLE, median_s DOUBLE, converts DOUBLE, phase_h INTEGER, weekend DOUBLE, "
        "ranges INTEGER)"
    )
    connection.executemany(
        "INSERT INTO streams VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [msgspec.structs.astuple(each) for each in sent]
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE incidents (kind VARCHAR, country VARCHAR, carrier VARCHAR, sender VARCHAR, "
        "begins_us BIGINT, ends_us BIGINT, size DOUBLE, code VARCHAR)"
    )
    for each in incidents:
        where = (each.scope.country, each.scope.carrier, each.scope.sender)
        row = (each.kind.value, *where, each.begins_us, each.ends_us, each.size, each.code)
        connection.execute("INSERT INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE bursts (begins_us BIGINT, ends_us BIGINT, times DOUBLE, sender VARCHAR, "
        "country VARCHAR)"
    )
    for burst in bursts:
        connection.execute("INSERT INTO bursts VALUES (?, ?, ?, ?, ?)", msgspec.structs.astuple(burst))
    stream, message = ("sender", "carrier", "hour"), ("sender", "carrier", "hour", "n.n")
    draws = {
        "u_hour": _uniform("hour", seed, *stream),
        "u_hour_2": _uniform("hour2", seed, *stream),
        "u_round": _uniform("round", seed, *stream),
        "u_week": _uniform("week", seed, "carrier", "week"),
    } | {
        name: _uniform(name, seed, *message)
        for name in ("u_at", "u_fail", "u_silent", "u_time", "u_time_2", "u_convert", "u_range", "u_code", "u_hurt")
    }
    last_hour = (max(days) + 1) * 24
    connection.execute(_ROWS.format(epoch=EPOCH_US, last_hour=last_hour, days=list(days), hit=_HIT, **draws))
    for each in incidents:
        if each.kind is Kind.PUMPING:
            _pump(connection, each, sent)
    connection.execute("CREATE OR REPLACE TABLE sorted AS SELECT * FROM closed_messages ORDER BY queued_at")
    connection.execute("DELETE FROM closed_messages")
    connection.execute("INSERT INTO closed_messages SELECT * FROM sorted")
    connection.execute("DROP TABLE sorted")
    return int(connection.execute("SELECT count(*) FROM closed_messages").fetchone()[0])


def _pump(connection: Any, incident: Incident, sent: Sequence[Stream]) -> None:
    """Add messages of a sender to three ranges of numbers: ``size`` times the scope's average, none converts.

    Where the sender has sent nothing before it is ``size`` messages an hour.
    """
    scope = incident.scope
    inside = [each for each in sent if each.country == scope.country and scope.sender in (None, each.sender)]
    per_hour = incident.size * (sum(each.per_hour for each in inside) if inside else 1)
    sender, carrier = scope.sender, NEW_CARRIER
    if inside:
        largest = max(inside, key=lambda each: each.per_hour)
        sender, carrier = largest.sender, largest.carrier
    hours = (incident.ends_us - incident.begins_us) / HOUR_US
    total = int(per_hour * hours)
    where = (sender, scope.country, scope.country, *[carrier] * 3)
    connection.execute(_PUMPED, (*where, incident.begins_us, HOUR_US / per_hour, total))


def hour_at_us(hour: float) -> int:
    """Return the time of an hour since ``EPOCH_US``."""
    return EPOCH_US + round(hour * HOUR_US)


__all__ = ["DAY_US", "EPOCH_US", "HOUR_US", "Burst", "Incident", "Stream", "fill", "hour_at_us", "streams"]


_WINDOW: Final = """
INSERT INTO closed_messages
SELECT uuid(), NULL, 'ringback', 'MA0', 'outbound', 'sms', 'S1', 'IN' || (n % 200), 'IN', '404', '20', NULL, '404-20',
    'c1', 'r1', CASE WHEN n % 100 < $bad THEN 'undelivered' ELSE 'delivered' END,
    CASE WHEN n % 100 < $bad THEN '30' END, 1, 100, false, make_timestamp(at_us), make_timestamp(at_us + 300000),
    make_timestamp(at_us + 3000000), 300, 2700, CASE WHEN n % 100 >= $bad THEN 3000 END, 0, 0, NULL, NULL
FROM (SELECT n, $end - n * 7000000 AS at_us FROM range(0, $count) r(n))
"""


def fill_windows(connection: Any, at_us: int, *, bad: int, minutes: int = 80) -> None:
    """Fill the minutes before a time, today and on four earlier weekdays: 5 of 100 messages fail, ``bad`` today."""
    connection.execute(DDL)
    for day in (0, 7, 14, 21, 28):
        count, end_us = minutes * 60 // 7, at_us - day * DAY_US
        connection.execute(_WINDOW, {"bad": 5 if day else bad, "end": end_us, "count": count})
