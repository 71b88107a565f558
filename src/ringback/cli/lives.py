"""Whole lives of messages, made from a seed: who writes to whom, what becomes of it when, and the callbacks it causes.

A life is a pure function of the wish and its number. Fates are those of the simulated carrier, and callbacks are made
by what makes them for messages of the API, so both are as they are with a Ringback that sends.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

import msgspec

from ringback.carriers.simulator.fate import carrier_ref, decide, due_times_us
from ringback.carriers.simulator.networks import network_of
from ringback.carriers.simulator.rules import (
    HEALTHY_ENDINGS,
    Accept,
    Answer,
    Delivered,
    Ending,
    NoReceipt,
    Reject,
    Rule,
    Undelivered,
)
from ringback.delivery.trigger import Life, Owed
from ringback.dialect import codes
from ringback.dialect.inbound import inbound_params
from ringback.messaging.progress import Change, Progress
from ringback.model.errors import InvalidRequest
from ringback.model.ids import AccountId, uuid7
from ringback.model.message import Message
from ringback.model.numbers import country
from ringback.model.retry import RetryPlan
from ringback.model.status import Status
from ringback.store.callbacks import NewCallback

KINDS: Final = ("queued", "sent", "delivered", "undelivered", "failed", "mixed", "mms", "inbound", "inbound-mms")
BEGIN_US: Final = 1_767_225_600_000_000
"""2026-01-01 00:00 UTC: the times of lives that were made from the same seed are the same."""

_PREFIXES: Final = ("1415555", "4477009", "9198765", "4915123", "3361234", "5511987")
_RATES: Final = {"sms": "0.00550", "mms": "0.01800"}
_FREE: Final = "0.00000"
_TEXTS: Final = ("Is it still there?", "On my way", "はい、ありがとう", "👍", "STOP", "a+b & c=d, 100%")
_CODE: Final = re.compile(r"(?!0+\Z)[0-9]{1,5}", re.ASCII)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What lives are asked for."""

    kind: str
    count: int
    seed: int
    url: str
    method: str
    auth_id: AccountId
    rate: float
    """Messages a second."""
    error: str | None = None
    error_share: float = 0.1
    """Of lives that end well otherwise, where an error is given."""
    src: str = "15005550100"
    speed: float = 1.0
    """Divides the times that pass within a life."""
    begin_us: int = BEGIN_US
    plan: RetryPlan | None = None


def check(wish: Wish) -> None:
    """Raise ``InvalidRequest`` for what cannot be."""
    if wish.kind not in KINDS:
        raise InvalidRequest(f"there is no life that ends as {wish.kind!r}: choose of {', '.join(KINDS)}")
    if wish.error is not None and _CODE.fullmatch(wish.error) is None:
        raise InvalidRequest("--error must be a code of up to 5 digits, such as 30, and 000 is none")
    if wish.error is not None and wish.kind in {"queued", "sent", "inbound", "inbound-mms"}:
        raise InvalidRequest(f"--error says how a life ends, and those that end as {wish.kind} have no code")


def lives(wish: Wish) -> Iterator[Life]:
    """Give the lives, in the order in which they begin. Raises ``InvalidRequest``."""
    check(wish)
    rule = _rule(wish)
    for number in range(wish.count):
        start_us = round(number / wish.rate * 1_000_000)
        make = _inbound if wish.kind.startswith("inbound") else _outbound
        yield make(wish, rule, _Chance(wish.seed, number), start_us)


class _Chance:
    """Where a life's ids and numbers come from."""

    def __init__(self, seed: int, number: int) -> None:
        self._seed = seed
        self._number = number
        self._drawn = 0

    def draw(self) -> bytes:
        """Return 16 bytes, others each time."""
        self._drawn += 1
        content = f"{self._seed} {self._number} {self._drawn}".encode()
        return blake2b(content, digest_size=16, person=b"trigger").digest()

    def new_id(self, at_us: int) -> str:
        return uuid7(at_us, self.draw())

    def below(self, limit: int) -> int:
        return int.from_bytes(self.draw()[:8], "big") % limit

    def number(self) -> str:
        return f"{_PREFIXES[self.below(len(_PREFIXES))]}{self.below(10_000):04d}"


def _rule(wish: Wish) -> Rule:
    """Return how the simulated carrier treats the messages."""
    answers: tuple[Answer, ...] = (Accept(),)
    endings: tuple[Ending, ...] = (Delivered(),)
    match wish.kind:
        case "sent":
            endings = (NoReceipt(),)
        case "undelivered":
            endings = (Undelivered(code=wish.error or "30"),)
        case "failed":
            answers = (Reject(code=wish.error or "90"),)
        case "mixed":
            answers = (Accept(weight=97), Reject(weight=3, code="90"))
            endings = (*HEALTHY_ENDINGS, Undelivered(weight=11, code=wish.error or "30"))
        case _ if wish.error is not None:
            good = (Delivered(weight=1 - wish.error_share),) if wish.error_share < 1 else ()
            bad = (Undelivered(weight=wish.error_share, code=wish.error),) if wish.error_share else ()
            endings = (*good, *bad)
    return Rule(name="trigger", prefixes=("",), answers=answers, endings=endings)


def _outbound(wish: Wish, rule: Rule, chance: _Chance, start_us: int) -> Life:
    at_us = wish.begin_us + start_us
    dst = chance.number()
    message = _message(wish, chance, at_us, src=wish.src, dst=dst, kind="mms" if wish.kind == "mms" else "sms")
    progress = Progress(chance.new_id)
    progress.accept(message)
    if wish.kind == "queued":
        return _life(progress, wish, start_us, message.status)
    ref = carrier_ref(wish.seed, message.uuid)
    fate = decide(wish.seed, ref, rule)
    sent_us = at_us + round(fate.answer_delay_s / wish.speed * 1_000_000)
    if isinstance(fate.answer, Reject):
        change = Change(status=Status.FAILED, at_us=sent_us, error_code=fate.answer.code)
        return _life(progress, wish, start_us, progress.change(message, change).status)
    network = network_of(dst)
    mcc, mnc = (network.mcc, network.mnc) if network else (None, None)
    message = progress.change(message, Change(status=Status.SENT, at_us=sent_us, mcc=mcc, mnc=mnc))
    for due_us, said in due_times_us(fate, start_us=sent_us, speed=wish.speed):
        message = progress.change(message, Change(status=said.status, at_us=due_us, error_code=said.error_code))
    return _life(progress, wish, start_us, message.status)


def _inbound(wish: Wish, _: Rule, chance: _Chance, start_us: int) -> Life:
    at_us = wish.begin_us + start_us
    kind = "mms" if wish.kind == "inbound-mms" else "sms"
    message = _message(wish, chance, at_us, src=chance.number(), dst=wish.src, kind=kind)
    text = _TEXTS[chance.below(len(_TEXTS))]
    message = msgspec.structs.replace(message, direction="inbound", status=Status.RECEIVED, rate=_FREE)
    params = inbound_params(
        message,
        text=text,
        intent="optout" if text == "STOP" else "",
        powerpack_uuid=None,
        # Addresses of the documentation's domain (RFC 2606): there is nothing at them.
        media_urls=[f"https://media.example.com/{chance.new_id(at_us)}.png"] if kind == "mms" else [],
        first_media_index=0,
    )
    progress = Progress(chance.new_id)
    progress.receive(message, params)
    return _life(progress, wish, start_us, message.status)


def _message(wish: Wish, chance: _Chance, at_us: int, *, src: str, dst: str, kind: str) -> Message:
    return Message(
        uuid=chance.new_id(at_us),
        account_id=wish.auth_id,
        direction="outbound",
        type=kind,
        src=src,
        dst=dst,
        text=None,
        encoding="gsm7",
        units=1,
        rate=_RATES[kind],
        log="true",
        trackable=False,
        callback_url=wish.url,
        callback_method=wish.method,
        callback_retry_delays=None if wish.plan is None else wish.plan.stored(),
        requester_ip="127.0.0.1",
        country=country(dst),
        status=Status.QUEUED,
        sequence=1,
        queued_at_us=at_us,
        updated_at_us=at_us,
    )


def _life(progress: Progress, wish: Wish, start_us: int, ends_as: str) -> Life:
    def owed(callback: NewCallback) -> Owed:
        return Owed((callback.created_at_us - wish.begin_us) / 1_000_000, callback)

    return Life(start_us / 1_000_000, tuple(map(owed, progress.owed)), ends_as)


def in_words(wish: Wish) -> str:
    """Say what is made, for people."""
    error = "" if wish.error is None else f", error {wish.error} ({codes.meaning(wish.error)})"
    return f"{wish.count} {wish.kind}{error}, seed {wish.seed}"
