"""Times as the wire writes and reads them (contract sections 2.4, 2.5, 4.2)."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_NAIVE: Final = _EPOCH.replace(tzinfo=None)
MAX_RETRY_AFTER_S: Final = 3600
_FILTER: Final = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?", re.ASCII)


def callback_time(at_us: int) -> str:
    """Write a time as callbacks carry it: ``2024-05-01 10:00:00.000000``, UTC."""
    return (_EPOCH_NAIVE + timedelta(microseconds=at_us)).isoformat(" ", "microseconds")


def record_time(at_us: int) -> str:
    """Write a time as message records carry it: with the offset, ``2024-05-01 10:00:00.000000+00:00``."""
    return callback_time(at_us) + "+00:00"


def filter_time_us(text: str) -> int | None:
    """Read ``YYYY-MM-DD HH:MM[:ss[.uuuuuu]]`` as UTC; ``None`` when it is something else."""
    if _FILTER.fullmatch(text) is None:
        return None
    try:
        parsed = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
    return (parsed - _EPOCH) // timedelta(microseconds=1)


def iso_time_us(text: str) -> int | None:
    """Read an ISO 8601 date and time, UTC if it says nothing else; ``None`` when it is something else."""
    if len(text) > 40 or "T" not in text.upper().replace(" ", "T"):
        return None
    try:
        parsed = datetime.fromisoformat(text)
        offset = parsed.utcoffset() or timedelta()
        at_us = (parsed.replace(tzinfo=UTC) - offset - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None
    return at_us if at_us >= 0 else None


def second(at_us: int) -> str:
    """Write a time as powerpacks carry it: ``2024-05-01T10:00:00Z``."""
    return (_EPOCH_NAIVE + timedelta(seconds=at_us // 1_000_000)).isoformat() + "Z"


def retry_after_s(text: str, now_us: int) -> float:
    """Return for how long ``Retry-After`` asks to wait (RFC 9110 section 10.2.3), at most an hour; 0 for no sense."""
    given = text.strip()
    if given.isascii() and given.isdigit():
        wait_s = float(given[:9])
    else:
        try:
            wait_s = parsedate_to_datetime(given).timestamp() - now_us / 1_000_000
        except (ValueError, IndexError):
            return 0.0
    return min(max(wait_s, 0.0), float(MAX_RETRY_AFTER_S))
