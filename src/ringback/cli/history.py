"""Whole lives of very many messages, made from a seed, as rows for the store.

A history is cut into hours. Each hour's messages are made with everything that ever becomes of them, so that a row of
``messages`` is written once, as it ends; their events wait until the log has come to their time, so that the log is in
the order of time, as a real one is. What would happen after the end has not happened yet.
"""

from collections import Counter
from collections.abc import Iterator
from math import exp
from operator import itemgetter
from random import Random
from typing import Any, Final

import msgspec

from ringback.cli.history_world import FAILED_CODES, UNDELIVERED_CODES, Carrier, Route, Sender, World
from ringback.dialect import codes
from ringback.dialect.times import record_time
from ringback.messaging import conversions as conversion_log
from ringback.model.ids import uuid7
from ringback.model.latency import bucket_of
from ringback.model.message import INBOUND_REF
from ringback.model.status import Status
from ringback.store import rollups

HOUR_US: Final = rollups.HOUR_US
_S: Final = 1_000_000
_DAY: Final = 24
_BY_HOUR: Final = (3, 2, 2, 2, 3, 5, 8, 12, 16, 19, 20, 20, 19, 18, 18, 18, 18, 19, 20, 18, 15, 11, 7, 5)
"""How busy the hours of a day are, from midnight UTC."""
_BY_DAY: Final = (1.0, 1.05, 1.05, 1.05, 1.1, 0.7, 0.6)
"""How busy the days of a week are, from Monday."""
_MONDAY_US: Final = 4 * _DAY * HOUR_US
"""The first Monday after 1970-01-01."""

NO_RECEIPT: Final = 0.04
FAILED: Final = 0.012
INBOUND: Final = 0.02
DUPLICATE: Final = 0.039
LATE: Final = 0.003
ONE_UNIT: Final = 0.8
"""Share of messages that are not longer than one part."""
TAIL: Final = 0.01
TAIL_FACTOR: Final = 60
"""One in a hundred takes so many times as long."""

MESSAGE_COLUMNS: Final = (
    "uuid", "account_id", "direction", "type", "src", "dst", "text", "encoding", "units", "rate", "log", "trackable",
    "callback_method", "requester_ip", "country", "status", "sequence", "error_code", "connector", "carrier_ref", "mcc",
    "mnc", "network", "route", "queued_at_us", "sent_at_us", "final_at_us", "updated_at_us",
)  # fmt: skip
EVENT_COLUMNS: Final = ("message_uuid", "account_id", "sequence", "status", "flag", "at_us", "error_code", "detail")
CONVERSION_COLUMNS: Final = ("message_uuid", "account_id", "status", "converted_at_us", "recorded_at_us")

Row = tuple[Any, ...]
_AT: Final = EVENT_COLUMNS.index("at_us")
_RECORDED: Final = CONVERSION_COLUMNS.index("recorded_at_us")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What history is asked for."""

    messages: int
    days: int
    seed: int
    until_us: int
    """Nothing happens after it."""


class Part(msgspec.Struct, frozen=True):
    """Rows of one hour, in the order of their columns above."""

    messages: list[Row]
    events: list[Row]
    conversions: list[Row]
    counts: Counter[rollups.Key]


class _Fate(msgspec.Struct, frozen=True):
    """What a message is drawn to be."""

    sender: Sender
    carrier: Carrier
    route: Route
    queued_at_us: int


class _Stand(msgspec.Struct, frozen=True):
    """How a message stands in the end."""

    status: Status
    sequence: int
    code: str | None = None
    sent_us: int | None = None
    final_us: int | None = None


def history(wish: Wish, world: World) -> Iterator[Part]:
    """Make the parts of a history, oldest first."""
    rng = Random(f"history {wish.seed}")  # noqa: S311 - must be the same each time
    maker = _Maker(rng, wish.until_us)
    owed_events: list[Row] = []
    owed_conversions: list[Row] = []
    for begin_us, end_us, count in hours(wish):
        part = Part([], owed_events, owed_conversions, Counter())
        times = sorted(rng.choices(range(begin_us, end_us), k=count))
        for fate in _fates(rng, world, times):
            maker.make(fate, part)
        owed_events = _split(part.events, _AT, end_us)
        owed_conversions = _split(part.conversions, _RECORDED, end_us)
        yield part


def hours(wish: Wish) -> Iterator[tuple[int, int, int]]:
    """Give (begin, end, messages) of every hour that the time touches; the messages add up to those wished for."""
    first_us = wish.until_us - wish.days * _DAY * HOUR_US
    starts = range(first_us - first_us % HOUR_US, wish.until_us, HOUR_US)
    spans = [(max(start, first_us), min(start + HOUR_US, wish.until_us)) for start in starts]
    weights = [(end - begin) * _busy(begin) for begin, end in spans]
    whole, so_far, given = sum(weights), 0.0, 0
    for (begin, end), weight in zip(spans, weights, strict=True):
        so_far += weight
        upto = round(wish.messages * so_far / whole)
        yield begin, end, upto - given
        given = upto


def _busy(at_us: int) -> float:
    hour = (at_us - _MONDAY_US) // HOUR_US
    return _BY_HOUR[hour % _DAY] * _BY_DAY[hour // _DAY % 7]


def _split(rows: list[Row], column: int, end_us: int) -> list[Row]:
    """Put rows into the order of time, and take out what comes after the end."""
    rows.sort(key=itemgetter(column))
    place = len(rows)
    while place and rows[place - 1][column] >= end_us:
        place -= 1
    owed = rows[place:]
    del rows[place:]
    return owed


def _fates(rng: Random, world: World, times: list[int]) -> Iterator[_Fate]:
    count = len(times)
    senders = rng.choices(world.senders, cum_weights=world.sender_weights, k=count)
    carriers = rng.choices(world.carriers, cum_weights=world.carrier_weights, k=count)
    ways = rng.choices((0, 1, 2), cum_weights=(6, 9, 10), k=count)
    for at_us, sender, carrier, way in zip(times, senders, carriers, ways, strict=True):
        yield _Fate(sender, carrier, world.routes[carrier.country][way], at_us)


class _Maker:
    """Makes lives out of fates."""

    def __init__(self, rng: Random, until_us: int) -> None:
        self._rng = rng
        self._until_us = until_us
        self._number = 0

    def make(self, fate: _Fate, part: Part) -> None:
        """Add a message and everything that becomes of it."""
        chance = self._rng.random()
        uuid = uuid7(fate.queued_at_us, self._rng.randbytes(8))
        self._number += 1
        if chance < INBOUND:
            stand = self._receive(uuid, fate, part)
        elif chance < INBOUND + FAILED:
            stand = self._fail(uuid, fate, part)
        else:
            stand = self._send(uuid, fate, part)
        part.messages.append(self._row(uuid, fate, stand))

    def _receive(self, uuid: str, fate: _Fate, part: Part) -> _Stand:
        account_id, at_us = fate.sender.account_id, fate.queued_at_us
        part.events.append((uuid, account_id, 1, "received", "", at_us, None, None))
        part.counts[rollups.key(account_id, at_us, rollups.INBOUND, "received")] += 1
        return _Stand(Status.RECEIVED, 1)

    def _fail(self, uuid: str, fate: _Fate, part: Part) -> _Stand:
        code, account_id = self._code(FAILED_CODES), fate.sender.account_id
        at_us = min(self._until_us - 1, fate.queued_at_us + self._duration_us(-1.5, 0.8))
        part.events.append((uuid, account_id, 1, "queued", "", fate.queued_at_us, None, None))
        part.events.append((uuid, account_id, 2, "failed", "", at_us, code, None))
        return _count(fate, part, _Stand(Status.FAILED, 2, code, None, at_us))

    def _send(self, uuid: str, fate: _Fate, part: Part) -> _Stand:
        rng, account_id, until_us = self._rng, fate.sender.account_id, self._until_us
        # A message that waits to be sent would wait for ever: nobody here has it.
        sent_us = min(until_us - 1, fate.queued_at_us + self._duration_us(-2.1, 0.6))
        final_us = sent_us + self._duration_us(fate.carrier.log_median + fate.route.slower, 0.8)
        part.events.append((uuid, account_id, 1, "queued", "", fate.queued_at_us, None, None))
        part.events.append((uuid, account_id, 2, "sent", "", sent_us, None, None))
        if fate.route.tells_twice:
            again_us = sent_us + (final_us - sent_us) // 4
            self._note(part, (uuid, account_id, 2, "sent", "duplicate", again_us, None, "an intermediate receipt"))
        if final_us >= until_us or rng.random() < NO_RECEIPT:
            return _count(fate, part, _Stand(Status.SENT, 2, None, sent_us))
        is_undelivered = rng.random() < fate.carrier.undelivered
        status = Status.UNDELIVERED if is_undelivered else Status.DELIVERED
        code = self._code(UNDELIVERED_CODES) if is_undelivered else codes.NONE
        part.events.append((uuid, account_id, 3, status.value, "", final_us, code, None))
        stand = _count(fate, part, _Stand(status, 3, code, sent_us, final_us))
        self._repeat(uuid, account_id, part, stand, final_us)
        if fate.sender.sends_passwords:
            self._convert(uuid, fate, part, stand, final_us)
        return stand

    def _repeat(self, uuid: str, account_id: str, part: Part, stand: _Stand, final_us: int) -> None:
        """Add a receipt that changes nothing, to some."""
        chance = self._rng.random()
        if chance >= DUPLICATE + LATE:
            return
        at_us = final_us + self._duration_us(1.0, 1.0)
        if chance < DUPLICATE:
            self._note(part, (uuid, account_id, 3, stand.status.value, "duplicate", at_us, stand.code, None))
        else:
            self._note(part, (uuid, account_id, 3, "sent", "late", at_us, None, None))

    def _convert(self, uuid: str, fate: _Fate, part: Part, stand: _Stand, final_us: int) -> None:
        """Add the customer's word on a one-time password."""
        is_delivered = stand.status is Status.DELIVERED
        was_entered = is_delivered and self._rng.random() < fate.carrier.conversion
        word = "CONVERTED" if was_entered else "NOT_CONVERTED"
        # Entered within a minute or so; that nothing was entered is known when the password has run out.
        said_us = final_us + (self._duration_us(2.8, 0.7) if was_entered else 300 * _S)
        if said_us < self._until_us:
            account_id, flag, detail = fate.sender.account_id, conversion_log.FLAG, f"{word} at {record_time(said_us)}"
            part.conversions.append((uuid, account_id, word, said_us, said_us))
            part.events.append((uuid, account_id, 3, stand.status.value, flag, said_us, stand.code, detail))

    def _note(self, part: Part, event: Row) -> None:
        if event[_AT] < self._until_us:
            part.events.append(event)

    def _row(self, uuid: str, fate: _Fate, stand: _Stand) -> Row:
        sender, carrier = fate.sender, fate.carrier
        is_inbound = stand.status is Status.RECEIVED
        number = f"{carrier.prefix}9{int(self._rng.random() * 1e8):08}"
        src, dst = (number, "15005550100") if is_inbound else (sender.src, number)
        units = 1 if self._rng.random() < ONE_UNIT else 2
        return (
            uuid, sender.account_id, "inbound" if is_inbound else "outbound", "sms", src, dst, None, "gsm7", units,
            "0.00000" if is_inbound else carrier.rate, "number_only", sender.sends_passwords and not is_inbound, "POST",
            "192.0.2.1", carrier.country, stand.status.value, stand.sequence, stand.code, fate.route.connector,
            f"{INBOUND_REF if is_inbound else ''}g{self._number:x}", carrier.network.mcc, carrier.network.mnc,
            carrier.network.name, fate.route.name, fate.queued_at_us, stand.sent_us, stand.final_us,
            stand.final_us or stand.sent_us or fate.queued_at_us,
        )  # fmt: skip

    def _code(self, among: list[str]) -> str:
        # The first is much more often than the last.
        return among[int(self._rng.random() ** 2 * len(among))]

    def _duration_us(self, log_median: float, sigma: float) -> int:
        """Draw a time that is lognormal in seconds, with a tail."""
        seconds = exp(self._rng.gauss(log_median, sigma))
        if self._rng.random() < TAIL:
            seconds *= TAIL_FACTOR
        return int(seconds * _S) + 1


def _count(fate: _Fate, part: Part, stand: _Stand) -> _Stand:
    account_id, queued_us = fate.sender.account_id, fate.queued_at_us
    part.counts[rollups.key(account_id, queued_us, "status", stand.status.value)] += 1
    if stand.final_us is None:
        return stand
    if stand.status is Status.DELIVERED:
        bucket = str(bucket_of(stand.final_us - queued_us))
        part.counts[rollups.key(account_id, queued_us, "delivered_in", bucket)] += 1
    elif stand.code:
        part.counts[rollups.key(account_id, queued_us, "error", stand.code)] += 1
    return stand
