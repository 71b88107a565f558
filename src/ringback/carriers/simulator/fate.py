"""What becomes of one message: a pure function of the seed, the carrier's id of the message, and the rule.

The carrier's id is itself derived from the seed and the message's uuid. All chance comes from a hash of seed
and id, so that a message's fate depends neither on the messages before it nor on the process that asks: it is
worked out anew after a restart, from what the platform has stored.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from statistics import NormalDist
from struct import Struct
from typing import Final, TypeVar

import msgspec

from ringback.carriers.simulator.rules import (
    Accept,
    Answer,
    Delivered,
    Ending,
    Fixed,
    LaterUndelivered,
    Law,
    LogNormal,
    NoAnswer,
    NoReceipt,
    Reject,
    Rule,
    Throttle,
    Undelivered,
    Uniform,
)
from ringback.dialect import codes
from ringback.model.status import Status

_DRAWS: Final = Struct("<5Q")
_NORMAL: Final = NormalDist()
MICRO: Final = 1_000_000

Choice = TypeVar("Choice", Answer, Ending)


class Said(msgspec.Struct, frozen=True):
    """What one receipt says, and when."""

    after_s: float
    """Counted from the answer to the submission; from the submission itself when the fate is ``early``."""
    status: Status
    error_code: str


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """All that happens to one message, before ``speed`` divides the times."""

    answer: Answer
    answer_delay_s: float
    early: bool
    """The first receipt comes before the answer to the submission."""
    receipts: tuple[Said, ...]
    """In the order in which they come; empty when none does."""
    jitter: float
    """0 to 1: where the message stands in a crowd that would otherwise come all at once."""


def carrier_ref(seed: int, message_uuid: str) -> str:
    """Return the carrier's id of a message: 32 hexadecimal digits."""
    return blake2b(f"{seed} {message_uuid}".encode(), digest_size=16, person=b"carrier ref").hexdigest()


def decide(seed: int, ref: str, rule: Rule) -> Fate:
    """Work out what becomes of the message with the carrier's id ``ref``, under ``rule``."""
    digest = blake2b(f"{seed} {ref}".encode(), digest_size=_DRAWS.size, person=b"fate").digest()
    # The middle of one of 2**53 steps: never 0 and never 1, so that every law is finite.
    answer, answer_delay, ending, receipt_delay, jitter = (
        ((draw >> 11) + 0.5) / 2**53 for draw in _DRAWS.unpack(digest)
    )
    chosen = _choose(rule.endings, ending)
    return Fate(
        answer=_choose(rule.answers, answer),
        answer_delay_s=delay_s(rule.answer_delay, answer_delay),
        early=not isinstance(chosen, NoReceipt) and chosen.early,
        receipts=_receipts(chosen, rule.receipt_delay, receipt_delay),
        jitter=jitter,
    )


def answer_now(answer: Answer, deferrals: int) -> Answer:
    """Return the answer to a submission of a message that was put off ``deferrals`` times before."""
    match answer:
        case Throttle(times=times) | NoAnswer(times=int(times)) if deferrals >= times:
            return Accept()
        case Accept() | Reject() | Throttle() | NoAnswer():
            return answer


def delay_s(law: Law, share: float) -> float:
    """Return the time below which ``share`` of all times of ``law`` lie; ``share`` is above 0 and below 1."""
    match law:
        case Fixed(seconds=seconds):
            return seconds
        case Uniform(min_s=min_s, max_s=max_s):
            return min_s + share * (max_s - min_s)
        case LogNormal(median_s=median_s, sigma=sigma, max_s=max_s):
            return min(median_s * math.exp(sigma * _NORMAL.inv_cdf(share)), max_s)


def due_times_us(fate: Fate, *, start_us: int, speed: float, not_before_us: int = 0) -> list[tuple[int, Said]]:
    """Say when each receipt is due, in microseconds since 1970.

    Times count from ``start_us``. When the first receipt would be due before ``not_before_us``, all of them
    move so that it is due then, and the pauses between them stay.
    """
    dues = [(start_us + round(said.after_s / speed * MICRO), said) for said in fate.receipts]
    late_us = max(0, not_before_us - dues[0][0]) if dues else 0
    return [(due_us + late_us, said) for due_us, said in dues]


def _receipts(ending: Ending, usual: Law, share: float) -> tuple[Said, ...]:
    match ending:
        case NoReceipt():
            return ()
        case Delivered():
            status, code = Status.DELIVERED, codes.NONE
        case Undelivered():
            status, code = Status.UNDELIVERED, ending.code
    after_s = 0.0 if ending.early else delay_s(ending.delay or usual, share)
    said = [Said(after_s, status, code)]
    for later in ending.later:
        if isinstance(later, LaterUndelivered):
            status, code = Status.UNDELIVERED, later.code
        else:
            status, code = Status.DELIVERED, codes.NONE
        for _ in range(later.times):
            after_s += later.after_s
            said.append(Said(after_s, status, code))
    return tuple(said)


def _choose(choices: Sequence[Choice], share: float) -> Choice:
    if len(choices) == 1:
        return choices[0]
    left = share * sum(choice.weight for choice in choices)
    for choice in choices:
        left -= choice.weight
        if left < 0:
            return choice
    return choices[-1]
