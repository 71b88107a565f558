"""When something happened by the provider's own clock, as a number that can be compared."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from ringback.dialect.times import iso_time_us
from ringback.receiver.event import Arrived
from ringback.receiver.explained import headers_of, kind_of
from ringback.receiver.source import PROVIDERS
from ringback.settings import SourceSettings

_RECEIPT: Final = re.compile(r"\d{10}", re.ASCII)
"""As SMPP's receipts have it, which some providers hand on."""


def time_of(sources: Mapping[str, SourceSettings]) -> Callable[[str, str, str, str, bytes], int | None]:
    """Return what finds the provider's time, UTC microseconds, of a request.

    It takes source, method, target, headers as stored and body; it gives ``None`` where no time is said, or none that
    can be read.
    """

    def find(source: str, method: str, target: str, headers: str, body: bytes) -> int | None:
        settings = sources.get(source)
        if settings is None:
            return None
        request = Arrived(method=method, target=target, headers=headers_of(headers), body=body, kind=kind_of(target))
        event = PROVIDERS[settings.provider].read(request)
        return None if event is None or event.happened_at is None else read_time_us(event.happened_at)

    return find


def read_time_us(written: str) -> int | None:
    """Read ISO 8601, with a space or a ``T``, or ten digits as SMPP's receipts have them; UTC where no zone is said."""
    if _RECEIPT.fullmatch(written) is None:
        return iso_time_us(written)
    try:
        at = datetime.strptime(written, "%y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    return round(at.timestamp() * 1_000_000)
