"""The simulated carrier behind an SMSC: what becomes of a message there, as a rule of the SMSC's script.

Fates are those of ``carriers.simulator``, with two differences that lie in SMPP. An SMSC does not know the uuid of a
message: what decides are sender, destination, text or reference, and how often the same was taken before. So fates are
the same for the same traffic, not over a restart. And "no answer" cannot be told from an answer that is on its way, so
that nobody could try again safely: it is said as ``ESME_RX_T_APPN`` after the same time. All parts of a message share
one fate; each has its own receipts.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from ringback.carriers.simulator.fate import Fate, answer_now, carrier_ref, decide
from ringback.carriers.simulator.networks import network_of
from ringback.carriers.simulator.rules import Accept, NoAnswer, Reject, Throttle
from ringback.carriers.simulator.script import Script
from ringback.carriers.smpp import names
from ringback.carriers.smpp.inbound import text_of
from ringback.carriers.smpp.pdu import DataSm, ShortMessage
from ringback.carriers.smpp.quirks.simulator import NETWORK, VENDOR
from ringback.carriers.smsc.script import ReceiptRule, Rule
from ringback.model.status import Status

REMEMBERED: Final = 100_000
"""Parts whose count is kept; the oldest are forgotten."""


class Counts:
    """How often something happened to each of the things that were seen last."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}

    def get(self, seen: bytes) -> int:
        """Return the count."""
        return self._counts.get(seen, 0)

    def add(self, seen: bytes) -> None:
        """Count one."""
        self._counts[seen] = self._counts.pop(seen, 0) + 1
        if len(self._counts) > REMEMBERED:
            del self._counts[next(iter(self._counts))]

    def forget(self, seen: bytes) -> None:
        """Begin again at 0."""
        self._counts.pop(seen, None)


class Fates:
    """Decides for an SMSC. ``speed`` divides all times."""

    def __init__(self, script: Script, *, seed: int, speed: float) -> None:
        self._script = script
        self._seed = seed
        self._speed = speed
        self._taken = Counts()
        self._put_off = Counts()

    def decide(self, body: ShortMessage | DataSm) -> Rule:
        """Say what is done with a submission."""
        message, part = _known_by(body)
        ref = carrier_ref(self._seed, f"{message.hex()} {self._taken.get(part)}")
        fate = decide(self._seed, ref, self._script.rule_for(body.dest))
        delay_s = fate.answer_delay_s
        match answer_now(fate.answer, self._put_off.get(part)):
            case Accept():
                self._put_off.forget(part)
                self._taken.add(part)
                return Rule(delay_ms=self._ms(delay_s), receipts=self._receipts(fate), parameters=_network(body.dest))
            case Reject(code=code):
                number = int(code)
                status = VENDOR + number if number < 0x100 else names.UNKNOWN_ERROR
            case Throttle():
                self._put_off.add(part)
                status = names.THROTTLED
            case NoAnswer(timeout_s=timeout_s):
                self._put_off.add(part)
                status, delay_s = names.TEMPORARY_ERROR, timeout_s
        return Rule(answer="error", status=status, delay_ms=self._ms(delay_s))

    def _receipts(self, fate: Fate) -> tuple[ReceiptRule, ...]:
        return tuple(
            ReceiptRule(
                after_ms=self._ms(said.after_s),
                early=fate.early and number == 0,
                state="DELIVRD" if said.status is Status.DELIVERED else "UNDELIV",
                error=f"{said.error_code:0>3}",
                form="both",
            )
            for number, said in enumerate(fate.receipts)
        )

    def _ms(self, seconds: float) -> int:
        return round(seconds / self._speed * 1000)


def _known_by(body: ShortMessage | DataSm) -> tuple[bytes, bytes]:
    """Return what tells a message from others, and one of its parts."""
    _, place = text_of(body, "gsm")
    content = b"" if place else (body.short_message if isinstance(body, ShortMessage) else repr(body.tlvs).encode())
    told = f"{body.source} {body.dest} {(place.reference, place.total) if place else ''} ".encode() + content
    message = blake2b(told, digest_size=16).digest()
    return message, message + bytes((place.number if place else 0,))


def _network(dst: str) -> Mapping[str, str]:
    network = network_of(dst)
    return {} if network is None else {str(NETWORK): network.mcc + network.mnc}
