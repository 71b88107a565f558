"""What a scripted SMSC does with each message: rules in a TOML file, the first that fits decides."""

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ringback.model.errors import ConfigInvalid

Millis = Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]


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
    answer: Literal["ok", "error", "drop", "close", "garbage"] = "ok"
    status: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)] = 0x08
    """Of ``error``: ``0x58`` throttles."""
    delay_ms: Millis = 0
    receipts: tuple[ReceiptRule, ...] = (ReceiptRule(),)


class InboundRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message from a phone, sent to whoever binds."""

    source: str
    dest: str
    text: str
    after_ms: Millis = 100
    """From the bind."""


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole script."""

    rule: tuple[Rule, ...] = ()
    inbound: tuple[InboundRule, ...] = ()
    ids: Literal["decimal", "hex", "padded"] = "decimal"
    """How messages are named in answers; receipts have the decimal number, ``padded`` with zeros before it."""
    system_id: str = ""
    password: str = ""
    """What a bind must have; empty takes any."""


def read_script(path: Path) -> Script:
    """Read a script. Raises ``ConfigInvalid``, which says what is wrong with it."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), Script)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"script {path}: it cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigInvalid(f"script {path}: {error}") from error


class Rules:
    """A script's rules at work."""

    def __init__(self, script: Script) -> None:
        self._rules = script.rule
        self._seen = [0] * len(script.rule)

    def decide(self, source: str, dest: str, text: str) -> Rule:
        """Return the rule for a message; without one that fits, it is taken and its receipt says delivered."""
        for at, rule in enumerate(self._rules):
            if fnmatchcase(dest, rule.dest) and fnmatchcase(source, rule.source) and fnmatchcase(text, rule.text):
                self._seen[at] += 1
                if self._seen[at] % rule.every == 0:
                    return rule
        return Rule()
