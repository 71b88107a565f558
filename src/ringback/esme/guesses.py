"""How often an address may guess at passwords: a few times, then after pauses that double. Pure: the time is given."""

import ipaddress
from typing import Final

import msgspec

FREE: Final = 5
"""Wrong passwords that cost no pause."""
FIRST_PAUSE_US: Final = 1_000_000
MOST_PAUSE_US: Final = 300_000_000
FORGET_US: Final = 3_600_000_000
"""An address that has been quiet for so long begins anew."""
MOST_ADDRESSES: Final = 10_000


class _Tries(msgspec.Struct):
    failures: int = 0
    locked_until_us: int = 0
    last_us: int = 0


class Guesses:
    """Failures by address; of IPv6 by its first 64 bits, which is what one customer has."""

    def __init__(self) -> None:
        self._tries: dict[str, _Tries] = {}

    def is_locked(self, address: str, now_us: int) -> bool:
        """Say whether an address has to wait."""
        tries = self._tries.get(origin_of(address))
        return tries is not None and now_us < tries.locked_until_us

    def failed(self, address: str, now_us: int) -> None:
        """Count a wrong password."""
        origin = origin_of(address)
        tries = self._tries.pop(origin, None)
        if tries is None or now_us - tries.last_us > FORGET_US:
            tries = _Tries()
        tries.failures += 1
        tries.last_us = now_us
        if tries.failures >= FREE:
            pause_us = min(FIRST_PAUSE_US << min(tries.failures - FREE, 20), MOST_PAUSE_US)
            tries.locked_until_us = now_us + pause_us
        while len(self._tries) >= MOST_ADDRESSES:
            # Those heard of longest ago go first.
            del self._tries[next(iter(self._tries))]
        self._tries[origin] = tries

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address."""
        self._tries.pop(origin_of(address), None)


def origin_of(address: str) -> str:
    """Return what failures are counted by."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
