"""A plan of incidents: every kind, many places and sizes, some too small to matter, on some days and not others."""

import math
import random
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ringback.model.alerts import Kind, Scope
from tests.fakes.traffic import HOUR_US, Burst, Incident, Stream, hour_at_us

LEARNING_DAYS: Final = 28
KINDS: Final = (
    Kind.DELIVERY_DROP,
    Kind.ERROR_SPIKE,
    Kind.NO_RECEIPT_SPIKE,
    Kind.LATENCY_RISE,
    Kind.CONVERSION_DROP,
    Kind.PUMPING,
    Kind.VOLUME_DROP,
)
SIZES: Final = {
    Kind.DELIVERY_DROP: (0.2, 0.8),
    Kind.ERROR_SPIKE: (0.05, 0.075),
    Kind.NO_RECEIPT_SPIKE: (0.2, 0.9),
    Kind.LATENCY_RISE: (4.0, 12.0),
    Kind.CONVERSION_DROP: (0.4, 0.9),
    Kind.PUMPING: (4.0, 9.0),
    Kind.VOLUME_DROP: (1.0, 1.0),
}
"""From the smallest that has to be found; see ``Incident.size``."""
TOO_SMALL: Final = {
    Kind.DELIVERY_DROP: 0.04,
    Kind.ERROR_SPIKE: 0.01,
    Kind.NO_RECEIPT_SPIKE: 0.04,
    Kind.LATENCY_RISE: 1.3,
    Kind.CONVERSION_DROP: 0.05,
    Kind.PUMPING: 0.3,
    Kind.VOLUME_DROP: 0.3,
}
LEAST_AN_HOUR: Final = 200
"""An incident has to be found from so many messages (for conversions: trackable ones) an hour on."""
LEAST_MINUTES: Final = 60


def needed_days(days: int) -> list[int]:
    """Return the days that looks at ``days`` days after the learning compare with, and those themselves."""
    looked_at = range(LEARNING_DAYS, LEARNING_DAYS + days)
    back = (*range(8), 14, 21, 28)
    return sorted({day - before for day in looked_at for before in back} | {looked_at[0] - 8})


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What happens, and when one looks."""

    incidents: list[Incident]
    small: list[Incident]
    """Too small, or with too few messages, to have to be found."""
    bursts: list[Burst]
    days: tuple[int, int]


def plan(seed: int, sent: Sequence[Stream], *, days: int, a_day: int = 6) -> Plan:
    """Plan ``days`` of looks after four weeks of learning: two days with incidents, then one without, and so on."""
    draw = random.Random(seed * 7919)
    incidents: list[Incident] = []
    small: list[Incident] = []
    kinds = [kind for _ in range(days) for kind in draw.sample(KINDS, k=len(KINDS))]
    for day in range(LEARNING_DAYS, LEARNING_DAYS + days):
        if day % 3 == 0:
            continue
        for number in range(a_day):
            hour = day * 24 + (number + 0.2 + 0.3 * draw.random()) * 24 / a_day
            kind = kinds.pop()
            if number % 4 == 3:
                small.append(_small(draw, kind, sent, hour))
            elif (incident := _large(draw, kind, sent, hour)) is not None:
                incidents.append(incident)
    dip = next(day for day in range(LEARNING_DAYS, LEARNING_DAYS + days) if day % 3 == 0)
    bursts = [Burst(begins_us=hour_at_us(dip * 24), ends_us=hour_at_us(dip * 24 + 24), times=0.5)]
    for day in range(LEARNING_DAYS, LEARNING_DAYS + days):
        sender = draw.choice(sorted({each.sender for each in sent})[:12])
        begins_us = hour_at_us(day * 24 + draw.uniform(8, 16))
        bursts.append(
            Burst(begins_us=begins_us, ends_us=begins_us + 2 * HOUR_US, times=draw.uniform(3, 6), sender=sender)
        )
    return Plan(incidents=incidents, small=small, bursts=bursts, days=(LEARNING_DAYS, LEARNING_DAYS + days))


def _small(draw: random.Random, kind: Kind, sent: Sequence[Stream], hour: float) -> Incident:
    """Make one that is too small anywhere, or large where hardly anything is sent."""
    if draw.random() < 0.5:
        stream = draw.choice(sorted(sent, key=lambda each: -each.per_hour)[:20])
        return _at(draw, kind, Scope(country=stream.country), hour, TOO_SMALL[kind])
    stream = draw.choice([each for each in sent if each.per_hour < 10])
    scope = Scope(country=stream.country, carrier=stream.carrier, sender=stream.sender)
    return _at(draw, kind, scope, hour, SIZES[kind][1] if kind is not Kind.PUMPING else 2.0)


def _large(draw: random.Random, kind: Kind, sent: Sequence[Stream], hour: float) -> Incident | None:
    """Draw places until one has enough messages at that hour."""
    for _ in range(200):
        stream = draw.choice(sent)
        shapes = [
            Scope(country=stream.country),
            Scope(country=stream.country, carrier=stream.carrier),
            Scope(sender=stream.sender),
            Scope(country=stream.country, sender=stream.sender),
        ]
        if kind is Kind.PUMPING:
            shapes = [shapes[3]]
        scope = draw.choice(shapes)
        if stream.country == "US" and kind in {
            Kind.NO_RECEIPT_SPIKE,
            Kind.DELIVERY_DROP,
            Kind.ERROR_SPIKE,
            Kind.LATENCY_RISE,
        }:
            continue
        size, usual = draw.uniform(*SIZES[kind]), expected(kind, scope, sent, hour)
        # Of pumping, what is pumped tells; there must have been some traffic before.
        enough = usual * size if kind is Kind.PUMPING and usual >= LEAST_AN_HOUR / 4 else usual
        if enough >= LEAST_AN_HOUR * 1.3:
            return _at(draw, kind, scope, hour, size)
    return None


def expected(kind: Kind, scope: Scope, sent: Sequence[Stream], hour: float) -> float:
    """Estimate the messages an hour that tell of an incident; the quietest hours have a quarter of the average."""
    total = 0.0
    for each in sent:
        inside = scope.contains(Scope(country=each.country, carrier=each.carrier, sender=each.sender))
        counts = each.converts > 0 or kind not in {Kind.CONVERSION_DROP, Kind.PUMPING}
        if each.country == "US" and kind in {
            Kind.NO_RECEIPT_SPIKE,
            Kind.DELIVERY_DROP,
            Kind.ERROR_SPIKE,
            Kind.LATENCY_RISE,
        }:
            counts = False
        if inside and counts:
            total += each.per_hour * season(each, hour)
    return total


def season(stream: Stream, hour: float) -> float:
    """Return how much of its average a stream sends in an hour, as ``traffic`` draws it but for chance."""
    local = (int(hour) + stream.phase_h) % 24
    weekend = stream.weekend if int(hour) // 24 % 7 >= 5 else 1.0
    return (1 + 0.75 * math.sin((local - 8) * math.tau / 24)) * weekend


def _at(draw: random.Random, kind: Kind, scope: Scope, hour: float, size: float) -> Incident:
    begins_us = hour_at_us(hour)
    minutes = draw.uniform(LEAST_MINUTES, 120)
    code = "30" if kind is Kind.ERROR_SPIKE else draw.choice(("", "20", "50"))
    return Incident(
        kind=kind, scope=scope, begins_us=begins_us, ends_us=begins_us + round(minutes * 60e6), size=size, code=code
    )


def counted(connection: Any, incident: Incident) -> int:
    """Return how many messages tell of an incident, an hour."""
    scope = incident.scope
    tracked = " AND trackable" if incident.kind in {Kind.CONVERSION_DROP, Kind.PUMPING} else ""
    found = connection.execute(
        "SELECT count(*) FROM messages WHERE queued_at >= make_timestamp(?) AND queued_at < make_timestamp(?) "  # noqa: S608
        "AND (? IS NULL OR country = ?) AND (? IS NULL OR carrier = ?) AND (? IS NULL OR src = ?)" + tracked,
        (
            incident.begins_us,
            incident.ends_us,
            *[scope.country] * 2,
            *[scope.carrier] * 2,
            *[scope.sender] * 2,
        ),
    ).fetchone()
    return round(found[0] * HOUR_US / (incident.ends_us - incident.begins_us))
