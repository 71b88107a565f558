"""Times as SMPP writes them (SMPP 3.4, 7.1.1): ``YYMMDDhhmmsstnnp``."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d)(\d\d)([R+-])", re.ASCII)


def seconds_until(text: str, now_us: int) -> int | None:
    """Return how many seconds after now a time is, negative when it is over; ``None`` when it is no time.

    A year of a relative time has 365 days, a month of one has 30.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, tenth, quarters = map(int, found.groups()[:8])
    if found[9] == "R":
        return (year * 365 + month * 30 + day) * 86_400 + hour * 3_600 + minute * 60 + second
    try:
        told = datetime(2000 + year, month, day, hour, minute, second, tenth * 100_000, tzinfo=UTC)
    except ValueError:
        return None
    ahead = timedelta(minutes=15 * quarters)
    at_us = (told - (ahead if found[9] == "+" else -ahead) - _EPOCH) // timedelta(microseconds=1)
    return (at_us - now_us) // 1_000_000


def absolute(at_us: int) -> str:
    """Write a time as ``final_date`` has it."""
    return f"{_at(at_us):%y%m%d%H%M%S}000+"


def minute(at_us: int) -> str:
    """Write a time as the text of a receipt has it: ``YYMMDDhhmm``."""
    return f"{_at(at_us):%y%m%d%H%M}"


def _at(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
