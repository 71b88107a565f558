"""What a scripted SMSC does with each message: rules in a TOML file, the first that fits decides."""

import tomllib
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from ringback.carriers.smpp import names
from ringback.carriers.smpp.pdu import DataSm, ShortMessage
from ringback.carriers.smpp.shape import Concatenation
from ringback.model.errors import ConfigInvalid

Millis = Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]
Octet = Annotated[int, msgspec.Meta(ge=0, le=255)]
Ids = Literal["decimal", "hex", "padded"]

LAYOUT: Final = "id:{id} sub:001 dlvrd:{dlvrd} submit date:{submitted} done date:{done} stat:{state} err:{error} text:"
"""Of appendix B."""
EXAMPLE: Final = {
    "id": "1", "dlvrd": "001", "submitted": "2601010000", "done": "2601010000", "state": "DELIVRD", "error": "000",
}  # fmt: skip


class ReceiptRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receipt that a message gets, if it asked for one."""

    after_ms: Millis = 100
    """From the answer to the submission."""
    early: bool = False
    """Before that answer instead."""
    state: str = "DELIVRD"
    error: str = "000"
    form: Literal["text", "tlv", "both"] = "text"
    times: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with messages that fit; patterns are those of shells, such as ``1500*``."""

    dest: str = "*"
    source: str = "*"
    text: str = "*"
    every: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Of the messages that fit, only each so-manieth."""
    per_s: Annotated[int, msgspec.Meta(ge=0)] = 0
    """So many a second; the others of that second are throttled. 0 is no limit."""
    answer: Literal["ok", "error", "drop", "close", "garbage", "unbind"] = "ok"
    status: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)] = 0x08
    """Of ``error``: ``0x58`` throttles."""
    delay_ms: Millis = 0
    reorder: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    """So many answers are gathered and given in the opposite order; after 0.2 s as many as there are."""
    congestion: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    """``congestion_state`` of the answer."""
    parameters: Mapping[str, str] = {}
    """Further parameters of the answer, such as ``"0x1403" = "310260"``."""
    receipts: tuple[ReceiptRule, ...] = (ReceiptRule(),)


class InboundRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message from a phone, sent to whoever binds."""

    source: str
    dest: str
    text: str
    after_ms: Millis = 100
    """From the bind."""
    concatenation: Concatenation = "udh"
    """How the parts of a long one are told."""


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole script."""

    rule: tuple[Rule, ...] = ()
    inbound: tuple[InboundRule, ...] = ()
    simulator: bool = False
    """Messages that no rule fits fare as with the simulated carrier."""
    seed: int = 1
    speed: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    """Of ``simulator``: which fates, and what divides all its times."""
    ids: Literal["decimal", "hex", "padded", "none"] = "decimal"
    """How messages are named in answers, or not at all."""
    first_id: Annotated[int, msgspec.Meta(ge=0)] = 1
    """The number of the first message."""
    receipt_ids: Ids | None = None
    """How they are named in the text of receipts: decimal, ``padded`` with zeros where answers are."""
    parameter_ids: Ids | None = None
    """How in ``receipted_message_id``: as in the text."""
    receipt_text: str = LAYOUT
    """With ``{id}``, ``{dlvrd}``, ``{submitted}``, ``{done}``, ``{state}`` and ``{error}``."""
    receipt_class: Octet = 0x04
    """``esm_class`` of receipts."""
    receipts_by: Literal["deliver_sm", "data_sm"] = "deliver_sm"
    unbind_after_ms: Millis = 0
    """So long after its bind, each connection is unbound; 0 never."""
    system_id: str = ""
    password: str = ""
    """What a bind must have; empty takes any."""


def read_script(path: Path) -> Script:
    """Read a script. Raises ``ConfigInvalid``, which says what is wrong with it."""
    try:
        script = msgspec.convert(tomllib.loads(path.read_text()), Script)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"script {path}: it cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigInvalid(f"script {path}: {error}") from error
    try:
        script.receipt_text.format_map(EXAMPLE)
        for tag in (tag for rule in script.rule for tag in rule.parameters):
            int(tag, 0)
    except (KeyError, ValueError, IndexError) as error:
        raise ConfigInvalid(f"script {path}: receipt_text or parameters: {error}") from error
    return script


Decide = Callable[[ShortMessage | DataSm], Rule]


def _taken_and_delivered(_: ShortMessage | DataSm) -> Rule:
    return Rule()


class Rules:
    """A script's rules at work; ``others`` decides on messages that no rule fits."""

    def __init__(self, script: Script, others: Decide = _taken_and_delivered) -> None:
        self._rules = script.rule
        self._others = others
        self._seen = [0] * len(script.rule)
        self._seconds = [(0, 0)] * len(script.rule)

    def decide(self, body: ShortMessage | DataSm, text: str, *, now_us: int) -> Rule:
        """Return the rule for a message."""
        for at, rule in enumerate(self._rules):
            if (
                fnmatchcase(body.dest, rule.dest)
                and fnmatchcase(body.source, rule.source)
                and fnmatchcase(text, rule.text)
            ):
                self._seen[at] += 1
                if self._seen[at] % rule.every == 0:
                    return rule if self._has_room(at, rule.per_s, now_us // 1_000_000) else THROTTLED
        return self._others(body)

    def _has_room(self, at: int, per_s: int, second: int) -> bool:
        before, count = self._seconds[at]
        count = count + 1 if before == second else 1
        self._seconds[at] = (second, count)
        return not per_s or count <= per_s


THROTTLED: Final = Rule(answer="error", status=names.THROTTLED)
