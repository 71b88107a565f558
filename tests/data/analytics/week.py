"""Weeks of traffic for the analytics pages: the same rows for the same seed."""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.fakes.analytics import row

PLACES = (
    ("IN", "404-20", "Vi India", 30, 0.91),
    ("IN", "405-840", "Jio", 26, 0.95),
    ("US", "310-260", "T-Mobile USA", 18, 0.985),
    ("US", "311-480", "Verizon Wireless", 14, 0.98),
    ("GB", "234-15", "Vodafone UK", 9, 0.97),
    ("DE", "262-02", "Vodafone DE", 7, 0.96),
    ("BR", "724-10", "Vivo", 6, 0.88),
    ("NG", "621-30", "MTN Nigeria", 5, 0.79),
    ("SG", "525-01", "Singtel", 3, 0.99),
    ("FR", "208-01", "Orange FR", 3, 0.97),
    ("ID", "510-10", "Telkomsel", 2, 0.86),
)
SENDERS = (("15005550100", 40), ("Acme", 25), ("18005550199", 15), ("Clinic", 8), ("+4479460", 4))
ROUTES = (("premium", 6), ("default", 5), ("low-cost", 2))
ERRORS = (("30", 5), ("50", 4), ("80", 8), ("20", 2), ("100", 1))
ACCOUNTS = (("MAZTQ0MWQ1NJC5ZDBIYT", 4), ("MAMJK3NTGYOTQ2ZWU1NJ", 1))


def traffic(now: datetime, *, days: int, count: int, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Make messages of the days before ``now``, more of them by day and on weekdays."""
    chance = random.Random(seed)
    made = 0
    while made < count:
        queued_at = now - timedelta(seconds=chance.random() * days * 86_400)
        by_hour = 0.25 + 0.75 * max(0.0, 1 - abs(queued_at.hour - 14) / 9)
        if chance.random() > by_hour * (0.55 if queued_at.weekday() > 4 else 1):
            continue
        made += 1
        yield _one(chance, made, queued_at, now)


def _one(chance: random.Random, number: int, queued_at: datetime, now: datetime) -> dict[str, Any]:
    country, carrier, network, _, quality = chance.choices(PLACES, [place[3] for place in PLACES])[0]
    queue_ms = round(chance.lognormvariate(5.6, 0.6))
    carrier_ms = round(chance.lognormvariate(7.7 + (1 if country in {"NG", "BR"} else 0), 0.7))
    sent_at = queued_at + timedelta(milliseconds=queue_ms)
    final_at = sent_at + timedelta(milliseconds=carrier_ms)
    status = _status(chance, quality)
    if sent_at > now:
        status = "queued"
    elif final_at > now and status != "queued":
        status = "sent"
    trackable = chance.random() < 0.3
    converted = trackable and status == "delivered" and chance.random() < 0.8
    return row(
        number,
        account_id=_pick(chance, ACCOUNTS),
        src=_pick(chance, SENDERS),
        country=country, mcc=carrier[:3], mnc=carrier[4:], carrier=carrier, network=network,
        route=_pick(chance, ROUTES),
        status=status,
        error_code=_pick(chance, ERRORS) if status in {"undelivered", "failed"} else None,
        units=chance.choice((1, 1, 1, 2)),
        cost=round(550 * (1.8 if country in {"IN", "NG"} else 1)),
        trackable=trackable,
        queued_at=queued_at,
        sent_at=None if status in {"queued", "failed"} else sent_at,
        final_at=None if status in {"queued", "sent"} else final_at,
        lag_ms=round(chance.lognormvariate(4, 0.5)),
        flagged=int(chance.random() < 0.03),
        conversion="CONVERTED" if converted else "NOT_CONVERTED" if trackable and chance.random() < 0.5 else None,
        converted_at=final_at + timedelta(seconds=20) if converted else None,
    )  # fmt: skip


def _status(chance: random.Random, quality: float) -> str:
    if chance.random() < quality:
        return "delivered"
    return chance.choices(("undelivered", "failed", "sent"), (5, 3, 3))[0]


def _pick(chance: random.Random, weighed: tuple[tuple[str, int], ...]) -> str:
    return chance.choices([each[0] for each in weighed], [each[1] for each in weighed])[0]


def is_open(message: Mapping[str, Any]) -> bool:
    """Say whether more is expected of a message."""
    return message["status"] in {"queued", "sent"}
