"""Which rule holds for which destination: the built-in script, and scripts read from TOML.

The rule with the longest prefix that the destination begins with wins. There always is one: the healthy
carrier's rule has the empty prefix.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec

from ringback.carriers.simulator.rules import (
    Delivered,
    Ending,
    Fixed,
    LaterDelivered,
    LaterUndelivered,
    LogNormal,
    NoAnswer,
    NoReceipt,
    Reject,
    Rule,
    Throttle,
    Undelivered,
    Uniform,
)
from ringback.dialect.codes import meaning
from ringback.model.errors import ConfigInvalid


class Script(msgspec.Struct, frozen=True):
    """Rules by prefix; made by :func:`script_of`."""

    by_prefix: dict[str, Rule]
    longest_prefix: int

    def rule_for(self, dst: str) -> Rule:
        """Return the rule with the longest prefix of ``dst``, a number as digits."""
        for size in range(min(len(dst), self.longest_prefix), 0, -1):
            rule = self.by_prefix.get(dst[:size])
            if rule is not None:
                return rule
        return self.by_prefix[""]


def script_of(rules: Iterable[Rule]) -> Script:
    """Make a script of the healthy carrier and ``rules``; of two rules for one prefix the later one holds."""
    by_prefix = {prefix: rule for rule in (HEALTHY, *rules) for prefix in rule.prefixes}
    return Script(by_prefix=by_prefix, longest_prefix=max(map(len, by_prefix)))


HEALTHY: Final = Rule(name="healthy carrier", prefixes=("",))

COUNTRIES: Final = (
    Rule(
        name="North America: more is filtered",
        prefixes=("1",),
        endings=(
            Delivered(weight=94.5),
            Undelivered(weight=1.8, code="30"),
            Undelivered(weight=0.8, code="80"),
            Undelivered(weight=0.5, code="50"),
            Undelivered(weight=0.4, code="20"),
            NoReceipt(weight=2),
        ),
    ),
    Rule(
        name="India: slower, and senders must be registered",
        prefixes=("91",),
        receipt_delay=LogNormal(median_s=1.1, sigma=0.6, max_s=6),
        endings=(
            Delivered(weight=91),
            Undelivered(weight=2.5, code="100"),
            Undelivered(weight=2.0, code="80"),
            Undelivered(weight=1.0, code="30"),
            Undelivered(weight=1.0, code="20"),
            Undelivered(weight=0.5, code="70"),
            NoReceipt(weight=2),
        ),
    ),
    Rule(
        name="Brazil: receipts are slow and often missing",
        prefixes=("55",),
        receipt_delay=LogNormal(median_s=1.4, sigma=0.6, max_s=6),
        endings=(
            Delivered(weight=90),
            Undelivered(weight=2.0, code="80"),
            Undelivered(weight=1.5, code="20"),
            Undelivered(weight=1.0, code="50"),
            Undelivered(weight=0.5, code="70"),
            NoReceipt(weight=5),
        ),
    ),
)
"""A little of each country's own weather."""

_SOON: Final = Fixed(seconds=0.1)
_MAGIC_BASE: Final = "150055500"
_MAGIC_CODES: Final = {code: code for code in ("10", "20", "30", "40", "50", "60", "70", "80", "90")} | {
    "91": "100",
    "92": "110",
    "93": "1000",
}
"""Last two digits of the number: error code."""


def _ends(last_digits: str, name: str, ending: Ending) -> Rule:
    return Rule(name=name, prefixes=(_MAGIC_BASE + last_digits,), receipt_delay=_SOON, endings=(ending,))


MAGIC: Final = (
    _ends("01", "delivered at once", Delivered()),
    _ends("02", "delivered after 30 seconds", Delivered(delay=Fixed(seconds=30))),
    _ends("03", "accepted, but no receipt ever comes", NoReceipt()),
    Rule(
        name="rejected when it is submitted: no route available",
        prefixes=(_MAGIC_BASE + "04",),
        answers=(Reject(code="90"),),
    ),
    _ends("05", "delivered; the receipt comes three times", Delivered(later=(LaterDelivered(after_s=1, times=2),))),
    _ends(
        "06",
        "delivered; 2 seconds later a receipt says undelivered",
        Delivered(later=(LaterUndelivered(after_s=2, code="80"),)),
    ),
    Rule(
        name="delivered; the receipt comes before the answer to the submission",
        prefixes=(_MAGIC_BASE + "07",),
        answer_delay=Uniform(min_s=0.2, max_s=0.3),
        endings=(Delivered(early=True),),
    ),
    Rule(
        name="throttled three times, a second apart, then delivered",
        prefixes=(_MAGIC_BASE + "08",),
        answers=(Throttle(times=3, retry_after_s=1),),
        receipt_delay=_SOON,
        endings=(Delivered(),),
    ),
    Rule(
        name="never answered; tried again until the message expires",
        prefixes=(_MAGIC_BASE + "09",),
        answers=(NoAnswer(timeout_s=5, retry_after_s=5),),
    ),
    *(_ends(digits, f"undelivered: {meaning(code)}", Undelivered(code=code)) for digits, code in _MAGIC_CODES.items()),
)
"""Numbers with a fixed ending each, in a range of the US plan that is never given to anybody."""

BUILT_IN: Final = script_of((*COUNTRIES, *MAGIC))
"""A healthy carrier, some countries of their own, and the magic numbers."""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    magic_numbers: bool = True
    rule: Annotated[tuple[dict[str, Any], ...], msgspec.Meta(min_length=1)]


def parse_script(data: dict[str, Any]) -> Script:
    """Make a script of what a TOML file holds: ``[[rule]]`` tables, and ``magic_numbers = false`` to go without.

    Its rules replace the built-in ones, the healthy carrier's for all other numbers and the magic numbers
    apart. Raises ``ConfigInvalid``, whose text names the rule and the field.
    """
    try:
        file = msgspec.convert(data, _File)
    except msgspec.ValidationError as error:
        raise ConfigInvalid(f"simulator script: {error}") from error
    rules: list[Rule] = []
    owner: dict[str, str] = {}
    for number, raw in enumerate(file.rule, 1):
        label = f"rule {number} ({raw.get('name', 'no name')!r})"
        try:
            rule = msgspec.convert(raw, Rule)
        except msgspec.ValidationError as error:
            raise ConfigInvalid(f"simulator script: {label}: {error}") from error
        for prefix in rule.prefixes:
            if prefix in owner:
                raise ConfigInvalid(f"simulator script: {label}: prefixes: {prefix!r} is also in {owner[prefix]}")
            owner[prefix] = label
        rules.append(rule)
    return script_of((*(MAGIC if file.magic_numbers else ()), *rules))
