"""When the next message of somebody with a limited rate may go: every message is given its slot when it is accepted.

A calendar knows the time from which on nobody has taken a slot, and the gaps before it. Gaps come about when a message
has to wait for its sender and takes a slot further on; whoever comes next and need not wait as long goes into them. So
a slow sender holds up none but itself, slots are never closer than the interval, and a slot that its message does not
use is lost and nothing else.
"""

from typing import Final

import msgspec

MOST_GAPS: Final = 128
"""More are forgotten, the earliest first: that loses capacity, and never goes above the rate."""

Gap = tuple[int, int]
"""From the first time that a slot may have, to the time of the slot after it."""


class Calendar(msgspec.Struct, frozen=True):
    """Which slots are taken; times are microseconds."""

    next_free_at_us: int = 0
    gaps: tuple[Gap, ...] = ()


def interval_us(rate_per_s: float) -> int:
    """Return how far slots are apart; rounded up, so that the rate is never exceeded."""
    return -round(-1_000_000 / rate_per_s // 1)


def take(calendar: Calendar, earliest_us: int, interval_us: int, *, now_us: int) -> tuple[int, Calendar]:
    """Take the first slot at ``earliest_us`` or later; returns its time and what is left."""
    gaps = [gap for gap in calendar.gaps if gap[1] - interval_us >= now_us]
    for at, (start_us, end_us) in enumerate(gaps):
        slot_us = max(start_us, earliest_us)
        if slot_us + interval_us <= end_us:
            parts = _room([(start_us, slot_us), (slot_us + interval_us, end_us)], interval_us)
            kept = (*gaps[:at], *parts, *gaps[at + 1 :])[-MOST_GAPS:]
            return slot_us, Calendar(calendar.next_free_at_us, kept)
    free_us = max(calendar.next_free_at_us, now_us)
    slot_us = max(free_us, earliest_us)
    gaps += _room([(free_us, slot_us)], interval_us)
    return slot_us, Calendar(slot_us + interval_us, tuple(gaps[-MOST_GAPS:]))


def _room(gaps: list[Gap], interval_us: int) -> list[Gap]:
    return [(start_us, end_us) for start_us, end_us in gaps if end_us - start_us >= interval_us]
