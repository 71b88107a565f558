"""How often somebody may try passwords: by the name that is tried and by the address that tries.

After a few wrong ones each further one has to wait, twice as long each time and a quarter of an hour at most. What is
counted is kept in memory: each process counts by itself and begins anew when it starts, which an attacker cannot bring
about. A name that nobody has is counted as any other, so that waiting tells nothing.
"""

import ipaddress
from collections import OrderedDict
from typing import Final

import msgspec

FREE_OF_NAME: Final = 5
FREE_OF_ADDRESS: Final = 20
"""Wrong passwords before the first wait; behind one address there may be many people."""
LONGEST_WAIT_S: Final = 900
FORGOTTEN_AFTER_S: Final = 3_600
MOST: Final = 10_000
"""Names and addresses remembered; those that were tried longest ago go first."""


class Tried(msgspec.Struct):
    """What is known of a name or an address."""

    wrong: int = 0
    last_us: int = 0
    until_us: int = 0
    """Before then nothing is tried."""
    told: bool = False
    """Whether the audit log knows of this wait."""


class Throttle:
    """Counts wrong passwords."""

    def __init__(self) -> None:
        self._tried: OrderedDict[str, Tried] = OrderedDict()

    def wait_s(self, name: str, address: str, now_us: int) -> int:
        """Return how many seconds must pass before the next try, 0 when it may be made."""
        until_us = max(self._known(key, now_us).until_us for key, _ in _keys(name, address))
        return max(0, -((now_us - until_us) // 1_000_000))

    def is_news(self, name: str, address: str) -> bool:
        """Say, once for each wait, that it has begun to keep somebody out."""
        waits = [tried for key, _ in _keys(name, address) if (tried := self._tried.get(key)) and tried.until_us]
        news = any(not tried.told for tried in waits)
        for tried in waits:
            tried.told = True
        return news

    def wrong(self, name: str, address: str, now_us: int) -> None:
        """Count a wrong password."""
        for key, free in _keys(name, address):
            tried = self._known(key, now_us)
            tried.wrong += 1
            tried.last_us = now_us
            if tried.wrong >= free:
                wait_s = min(2 ** min(tried.wrong - free, 20), LONGEST_WAIT_S)
                tried.until_us, tried.told = now_us + wait_s * 1_000_000, False
            self._tried[key] = tried
            self._tried.move_to_end(key)
        while len(self._tried) > MOST:
            self._tried.popitem(last=False)

    def right(self, name: str) -> None:
        """Forget what was wrong with a name. Its address goes on being counted: it may have tried other names."""
        self._tried.pop(f"name {name}", None)

    def _known(self, key: str, now_us: int) -> Tried:
        tried = self._tried.get(key)
        if tried is None or now_us - tried.last_us > FORGOTTEN_AFTER_S * 1_000_000:
            return Tried()
        return tried


def _keys(name: str, address: str) -> tuple[tuple[str, int], tuple[str, int]]:
    return (f"name {name}", FREE_OF_NAME), (f"address {_network(address)}", FREE_OF_ADDRESS)


def _network(address: str) -> str:
    """Return what one customer of a provider has: an address of version 4, the first 64 bits of one of version 6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
