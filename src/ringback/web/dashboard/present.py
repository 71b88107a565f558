"""How facts are written for people. Pure; durations and times are microseconds."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from ringback.model import numbers
from ringback.model.circuit import Circuit, CircuitState
from ringback.model.message import Message
from ringback.model.money import UNITS, shown
from ringback.store.messages import HIDES_NUMBER

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

BODY_SHOWN: Final = 65_536
"""Bytes of a body that a page shows; the rest is only counted."""

_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})

# Characters that show nothing, or that make what follows show in another order than it has.
_DECEIVING: Final = re.compile("[\u0080-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_CONTROL: Final = re.compile("[\u0000-\u0008\u000b-\u001f\u007f]")


def _at(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def utc(at_us: int) -> str:
    """Write a time to the second: ``2026-11-23 16:45:10Z``."""
    return _at(at_us).strftime("%Y-%m-%d %H:%M:%SZ")


def utc_ms(at_us: int) -> str:
    """Write a time to the millisecond: ``2026-11-23 16:45:10.250Z``."""
    return _at(at_us).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"


def iso(at_us: int) -> str:
    """Write a time for machines: ``2026-11-23T16:45:10.250000Z``."""
    return _at(at_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def clock(at_us: int, now_us: int) -> str:
    """Write a time that is near: ``16:45:10Z``, with its date when that is another day."""
    at, now = _at(at_us), _at(now_us)
    return at.strftime("%H:%M:%SZ") if at.date() == now.date() else utc(at_us)


def ago(at_us: int, now_us: int) -> str:
    """Write how far a time is from now: ``2 m 05 s ago``, ``in 30 s``."""
    if abs(now_us - at_us) < 1_000_000:
        return "just now"
    return f"{duration(now_us - at_us)} ago" if at_us <= now_us else f"in {duration(at_us - now_us)}"


def circuit(known: Circuit, now_us: int) -> str:
    """Write an endpoint's state in words, without its reason."""
    if known.state is CircuitState.CLOSED:
        return "works"
    if known.state is CircuitState.HALF_OPEN:
        return "probing"
    if known.state is not CircuitState.OPEN:
        return known.state.value
    if known.probe_at_us is None or known.probe_at_us <= now_us:
        return "parked, its probe is due"
    return f"parked until {clock(known.probe_at_us, now_us)}"


def hour(at_us: int) -> str:
    """Write an hour: ``2026-11-23 16:00Z``."""
    return _at(at_us).strftime("%Y-%m-%d %H:00Z")


def duration(duration_us: float) -> str:
    """Write a duration with two or three digits that matter: ``85 ms``, ``1.4 s``, ``2 m 05 s``, ``3 h 12 m``."""
    if duration_us < 0:
        return f"-{duration(-duration_us)}"
    milliseconds = duration_us / 1000
    if milliseconds < 999.5:
        return f"{milliseconds:.{int(milliseconds < 9.95)}f} ms"
    seconds = milliseconds / 1000
    if seconds < 59.5:
        return f"{seconds:.{int(seconds < 9.95)}f} s"
    whole = round(seconds)
    for larger, smaller, size, below in (("m", "s", 60, 3_600), ("h", "m", 3_600, 86_400)):
        if whole < below:
            return f"{whole // size} {larger} {whole % size * 60 // size:02d} {smaller}"
    return f"{whole // 86_400} d {whole % 86_400 // 3_600} h"


def number(value: int) -> str:
    """Write a count: ``12,345``."""
    return f"{value:,}"


def percent(share: float) -> str:
    """Write a share: ``97.3 %``. Only all is ``100 %`` and only nothing is ``0 %``."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    return f"{min(max(share * 100, 0.1), 99.9):.1f} %"


def money(amount: int) -> str:
    """Write a sum of many: ``1,234.56``; one that would round to nothing with the decimals that it has."""
    cents = (abs(amount) * 100 + UNITS // 2) // UNITS
    if amount and not cents:
        return price(amount)
    return f"{'-' if amount < 0 else ''}{cents // 100:,}.{cents % 100:02d}"


def price(amount: int) -> str:
    """Write what one costs: ``0.00550``."""
    return shown(amount)


def milliseconds(value: float) -> str:
    """Write a latency; see ``duration``."""
    return duration(value * 1000)


def day_hour(at_us: int) -> str:
    """Write a time to the minute: ``23 Nov 16:45``."""
    return _at(at_us).strftime("%d %b %H:%M")


def words(name: str) -> str:
    """Write a name of the program as words: ``given_up`` becomes ``given up``."""
    return name.replace("_", " ")


def visible(text: str) -> str:
    """Make control characters, and those that hide or reorder what is shown, visible. Lines and tabs stay."""
    text = text.replace("\r\n", "\u240d\n")
    text = _CONTROL.sub(lambda found: "\u2421" if found[0] == "\x7f" else chr(0x2400 + ord(found[0])), text)
    return _DECEIVING.sub(lambda found: f"\u27e8U+{ord(found[0]):04X}\u27e9", text)


class Body(msgspec.Struct, frozen=True):
    """A body as a page shows it."""

    text: str
    size: int
    shown: int
    """Bytes of it in ``text``."""


def body(content: bytes, redact: Callable[[str], str] = str) -> Body:
    """Decode a body for display. Bytes that are not UTF-8 are written as ``\\xNN``."""
    part = content[:BODY_SHOWN]
    return Body(redact(part.decode("utf-8", "backslashreplace")), len(content), len(part))


def header_pairs(json: str, redact: Callable[[str], str] = str) -> list[tuple[str, str]]:
    """Read stored headers; values that authenticate somebody are not shown."""
    return [
        (name, "(not shown)" if name.lower() in _SECRET_HEADERS else redact(value))
        for name, value in msgspec.json.decode(json, type=list[tuple[str, str]])
    ]


def param_pairs(json: str, redact: Callable[[str], str] = str) -> list[tuple[str, str]]:
    """Read stored parameters."""
    return [(name, redact(value)) for name, value in msgspec.json.decode(json, type=list[tuple[str, str]])]


def form_pairs(target: str, headers: list[tuple[str, str]], content: bytes) -> list[tuple[str, str]]:
    """Return the parameters of a request, from its query string and a form body."""
    try:
        pairs = parse_qsl(urlsplit(target).query, keep_blank_values=True, max_num_fields=200)
        kinds = [value for name, value in headers if name.lower() == "content-type"]
        if any(kind.startswith("application/x-www-form-urlencoded") for kind in kinds):
            pairs += parse_qsl(content[:BODY_SHOWN].decode("latin-1"), keep_blank_values=True, max_num_fields=200)
    except ValueError:
        return []
    return pairs


def safe_url(url: str) -> str:
    """Return a URL without the password it may carry."""
    scheme, separator, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, host = authority.rpartition("@")
    if not at:
        return url
    name = user.partition(":")[0]
    return f"{scheme}{separator}{name}:(not shown)@{host}{rest[len(authority) :]}"


def src_of(message: Message) -> str:
    """Return the sender as it may be shown: masked for an inbound message that is not to be logged."""
    hidden = message.log in HIDES_NUMBER and message.direction == "inbound"
    return numbers.masked(message.src) if hidden else message.src


def dst_of(message: Message) -> str:
    """Return the destination as it may be shown: masked for an outbound message that is not to be logged."""
    hidden = message.log in HIDES_NUMBER and message.direction != "inbound"
    return numbers.masked(message.dst) if hidden else message.dst


NOT_SHOWN: Final = "(not shown: messages to this number are not logged)"
"""Stands for what an inbound message says, and for what its application answered."""


def hides_text(message: Message) -> bool:
    """Say whether what ``message`` says may not be shown."""
    return message.log not in {"true", "content_only"}


def kept_text(message: Message) -> str | None:
    """Return the text if it was kept and may be shown."""
    return None if hides_text(message) else message.text
